/* Makes an x32 system call, another way past a filter. Outside: few kernels have x32.
 * inside: signalled exited
 * outside: maybe */
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
    if (syscall(0x40000000 + SYS_getpid) > 0) puts("REACHED");
    return 0;
}
