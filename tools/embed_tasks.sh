#!/bin/sh
# Prints a C file that holds other files: embed_tasks.sh NAME FILE... gives NAME[], rows of name and text, ended by NULL.
set -eu
array=$1
shift
echo 'struct eval_task_file { const char *name; const unsigned char *text; unsigned long bytes; };'
n=0
for file in "$@"; do
    echo "static const unsigned char text_$n[] = {"
    od -An -v -tu1 "$file" | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
    n=$((n + 1))
done
echo "extern const struct eval_task_file $array[];"
echo "const struct eval_task_file $array[] = {"
n=0
for file in "$@"; do
    echo "    { \"$file\", text_$n, sizeof text_$n },"
    n=$((n + 1))
done
echo '    { 0, 0, 0 },'
echo '};'
