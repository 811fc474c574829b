#!/bin/sh
# Fails when a file has more than 600 lines or a function more than 60 (kernels in src/cpu: 120), unless tools/size.allow
# names it with a ceiling that it still keeps. A line there: "path lines" or "path:function lines".
set -eu
cd "$(dirname "$0")/.."
awk -v allow=tools/size.allow '
    BEGIN { while ((getline line < allow) > 0) { split(line, part, " "); if (part[1] != "" && part[1] !~ /^#/) limit[part[1]] = part[2] } }
    function most(key, usual) { return key in limit ? limit[key] : usual }
    function complain(text) { print text; bad = 1 }
    FNR == 1 { if (file != "") end_file(); file = FILENAME; start = 0 }
    { lines = FNR }
    /^[a-zA-Z_].*\(/ && !/;[ \t]*$/ && !/^#/ { head = $0; sub(/\(.*/, "", head); sub(/.*[ *]/, "", head) }
    /^\{/ { start = FNR; name = head }
    /^\}/ && start { n = FNR - start - 1; if (n > most(file ":" name, file ~ /^src\/cpu\// ? 120 : 60)) complain(file ":" start ": " name " has " n " lines"); start = 0 }
    function end_file() { if (lines > most(file, 600)) complain(file ": " lines " lines") }
    END { end_file(); exit bad }' $(find src include tests bench -name '*.[ch]' ! -name 'unicode_table.c' 2>/dev/null | sort)
