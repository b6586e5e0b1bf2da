/* The floor of the spawn bench: accept, vfork, exec, and nothing else.
 *
 *     floor PORT PROGRAM [ARGUMENT...]
 *
 * listens on 127.0.0.1:PORT and gives PROGRAM each connection as 0, 1 and 2. No
 * log, no access control, no change of user or session: what a super-server
 * adds to this is what the bench wants to see. It has no SIGCHLD handler: it
 * reaps after each accept, and a timer ends an idle accept so that the last
 * children are reaped too. (A receive timeout would do that as well, but the
 * accepted sockets would inherit it.)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void tick(int signal)
{
    (void)signal;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0)
        fail("floor: listen");
    return fd;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = tick}; /* no SA_RESTART: it ends accept4 */
    struct itimerval every = {{0, 20000}, {0, 20000}};

    if (argc < 3) {
        fprintf(stderr, "usage: floor PORT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int listener = listen_on(atoi(argv[1]));
    if (sigaction(SIGALRM, &action, NULL) < 0 || setitimer(ITIMER_REAL, &every, NULL) < 0)
        fail("floor: timer");
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0) {
            pid_t child = vfork();
            if (child == 0) {
                dup2(client, 0);
                dup2(client, 1);
                dup2(client, 2);
                execve(argv[2], argv + 2, environ);
                _exit(127);
            }
            if (child < 0)
                fail("floor: vfork");
            close(client);
        }
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}
