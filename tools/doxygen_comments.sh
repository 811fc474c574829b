#!/bin/sh
# The house's comments as Doxygen's: one before a declaration becomes /** ... */, one behind it /**< ... */, a heading between dashes a
# section. What stands behind the name of a struct or an enum is said of it; what stands behind several members, of each. The rule in the head of starchat.h is said of each *_close and
# *_free that has no words of its own. Text is escaped, so that <, >, @ and % in it are themselves; no line is added or lost. Doxygen's
# INPUT_FILTER; usage: doxygen_comments.sh HEADER
exec awk '
function escaped(s) { gsub(/\\/, "\\\\", s); gsub(/</, "\\<", s); gsub(/@/, "\\@", s); gsub(/#/, "\\#", s); gsub(/%/, "\\%", s); return s }
function comment(s, mark,    head, tail) {      # s: from "/*" to the end of the line
    head = substr(s, 3); tail = ""
    if (match(head, /\*\/.*$/)) { tail = substr(head, RSTART); head = substr(head, 1, RSTART - 1) } else inside = 1
    return mark escaped(head) tail
}
# The comment behind the name that ends the declaration which begins in line i; it is taken away from there.
function words_behind(i,    k, at, found) {
    for (k = i; k <= n; k++) {
        if (line[k] !~ (k == i ? "[}] sc_[a-z0-9_]+;" : "^[}] sc_[a-z0-9_]+;")) continue
        match(line[k], /\} sc_[a-z0-9_]+;/)
        at = RSTART + RLENGTH
        found = substr(line[k], at)
        line[k] = substr(line[k], 1, at - 1)
        sub(/^[ \t]+/, "", found)
        return found
    }
    return ""
}
# "  int a, *b; /* words */" with a declaration and the words for each.
function each_member(s, at,    left, words, type, part, k, parts, out) {
    left = substr(s, 1, at - 1)
    words = comment(substr(s, at), "/**<")
    sub(/;[ \t]*$/, "", left)
    parts = split(left, part, /,[ \t]*/)
    type = part[1]
    sub(/[*]*[a-z_0-9]+$/, "", type)
    out = part[1] "; " words
    for (k = 2; k <= parts; k++) out = out " " type part[k] "; " words
    return out
}
{ line[++n] = $0 }
END {
    sub(/ - /, " \\brief ", line[1])
    print "/** \\file" substr(line[1], 3)
    inside = line[1] !~ /\*\//
    for (i = 2; i <= n; i++) {
        s = line[i]
        before = is_told
        is_told = 0
        if (inside) {
            if (match(s, /\*\//)) { print escaped(substr(s, 1, RSTART - 1)) substr(s, RSTART); inside = 0; is_told = 1 } else print escaped(s)
            continue
        }
        if (s ~ /^\/\* ----+ .* ----+ \*\/$/) {
            gsub(/^\/\* -+ | -+ \*\/$/, "", s)
            print (is_open ? "/** \\} */ " : "") "/** \\name " toupper(substr(s, 1, 1)) escaped(substr(s, 2)) " */ /** \\{ */"
            is_open = 1
            continue
        }
        if (s ~ /^#ifdef __cplusplus/ && is_open) { print "/** \\} */ "; is_open = 0 }
        if (s ~ /^typedef (struct|enum) \{/) {
            words = words_behind(i)
            if (words ~ /^\/\*/) printf "%s ", comment(words, "/**")
            s = line[i]
        }
        if (s ~ /^SC_API void +sc_[a-z0-9_]+_(close|free)\([^,]*\);$/ && !before) printf "/** The end of what it was given; NULL allowed. */ "
        at = index(s, "/*")
        if (at == 0) { print s; continue }
        if (s ~ /^    [a-z][a-z0-9_ ]* [*]*[a-z0-9_]+(, *[*]*[a-z0-9_]+)+; *\/\*.*\*\/$/) { print each_member(s, at); continue }
        is_alone = substr(s, 1, at - 1) ~ /^[ \t]*$/
        print substr(s, 1, at - 1) comment(substr(s, at), is_alone ? "/**" : "/**<")
        is_told = is_alone && !inside
    }
}' "$1"
