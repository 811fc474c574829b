/* end.c - linked to programs in C++ and Rust (-Wl,--wrap=main): prints the nonce when main has returned 0, so that exit(0) is no pass. The nonce comes
 * through a pipe that is empty and shut before the program's own code begins. */
#include <unistd.h>

enum { DIGITS = 32 };
static char nonce[DIGITS + 2] = "\n";

int __real_main(int argc, char **argv, char **environment);
int __wrap_main(int argc, char **argv, char **environment);

__attribute__((constructor(101))) static void begin(void)
{
    ssize_t n;
    for (int at = 0; at < DIGITS && (n = read(3, nonce + 1 + at, (size_t)(DIGITS - at))) > 0;) at += (int)n;
    close(3);
    nonce[DIGITS + 1] = '\n';
}

int __wrap_main(int argc, char **argv, char **environment)
{
    int code = __real_main(argc, argv, environment);
    if (code == 0 && write(1, nonce, sizeof nonce) != (ssize_t)sizeof nonce) return 1;
    return code;
}
