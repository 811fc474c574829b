/* Reads from every descriptor there could be, from C. Outside one is left open to it.
 * inside: exited
 * outside: yes */
#include <fcntl.h>
#include <stdio.h>
int main(void)
{
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0) { puts("REACHED"); break; }
    return 0;
}
