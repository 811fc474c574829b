/* Mounts from C, for machines whose Python has no ctypes. Outside in a mount namespace of its own.
 * inside: exited
 * outside: root */
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
int unshare(int flags);
int main(void)
{
    unshare(0x20000);
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mount("none", "/tmp", "tmpfs", 0, NULL) == 0) puts("REACHED");
    return 0;
}
