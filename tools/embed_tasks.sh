#!/bin/sh
# Prints a C file that holds all task files: embed_tasks.sh FILE... gives eval_task_files[], rows of name and text, ended by NULL.
set -eu
echo 'struct eval_task_file { const char *name; const unsigned char *text; unsigned long bytes; };'
n=0
for file in "$@"; do
    echo "static const unsigned char text_$n[] = {"
    od -An -v -tu1 "$file" | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
    n=$((n + 1))
done
echo 'extern const struct eval_task_file eval_task_files[];'
echo 'const struct eval_task_file eval_task_files[] = {'
n=0
for file in "$@"; do
    echo "    { \"$file\", text_$n, sizeof text_$n },"
    n=$((n + 1))
done
echo '    { 0, 0, 0 },'
echo '};'
