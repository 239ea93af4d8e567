/* Asks as many strangers do: requests are due by the clock, whether or not earlier ones were answered.
 *
 * openloop HOST PORT RATE SECONDS CONNECTIONS REQUESTS-FILE REQUEST-BYTES STEP-AT
 *
 * The file holds requests of one length, one after the other; at STEP-AT bytes of each stand ten digits, which every
 * request gets anew, unless it is negative. A rate of 0 asks on each connection as soon as it is answered: a closed loop. What is due while no
 * connection is free never leaves. It says one line of JSON. In C, because it shares two cores with what it measures. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A tick gathers what is due and what has come: to be woken for every single answer would cost more than the answer. */
enum { ANSWER_MAX = 4096, EVENTS_MAX = 512, AFTER_SECONDS = 5, DIGITS = 10, TICK_US = 300 };

struct stranger {
    int fd, got;
    double asked; /* 0: free */
    char answer[ANSWER_MAX + 1];
};

struct times {
    float *took;
    long count, room;
};

static struct stranger *strangers;
static int *idle, idle_first, idle_count, connections;
static long waiting, others, gone;
static struct times good, refused;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void note(struct times *times, double took) {
    if (times->count == times->room) {
        times->room = times->room ? 2 * times->room : 1 << 16;
        times->took = realloc(times->took, times->room * sizeof(float));
        if (!times->took) fail("memory");
    }
    times->took[times->count++] = took;
}

static int slower(const void *one, const void *two) {
    float a = *(const float *)one, b = *(const float *)two;
    return (a > b) - (a < b);
}

static double at(struct times *times, double share) {
    long place = times->count * share;
    if (!times->count) return -1;
    return times->took[place < times->count ? place : times->count - 1] * 1e3;
}

static void be_free(int number) {
    idle[(idle_first + idle_count++) % connections] = number;
}

/* Return the bytes of a whole answer, 0 while it is not whole, -1 if it can never be. */
static int whole(struct stranger *one) {
    char *end, *length;
    one->answer[one->got] = 0;
    end = strstr(one->answer, "\r\n\r\n");
    if (!end) return one->got == ANSWER_MAX ? -1 : 0;
    length = strcasestr(one->answer, "\r\ncontent-length:");
    if (!length || length > end) return -1;
    int size = end + 4 - one->answer + atoi(length + 17);
    return size > ANSWER_MAX ? -1 : one->got >= size ? size : 0;
}

static void lose(int poll, struct stranger *one) {
    epoll_ctl(poll, EPOLL_CTL_DEL, one->fd, NULL);
    close(one->fd);
    one->fd = -1;
    gone++;
    if (one->asked) {
        waiting--;
        others++;
    }
}

static void hear(int poll, int number) {
    struct stranger *one = &strangers[number];
    int size, status, count = recv(one->fd, one->answer + one->got, ANSWER_MAX - one->got, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count > 0) one->got += count;
    size = count > 0 ? whole(one) : -1;
    if (!size) return;
    if (size < 0 || !one->asked) {
        lose(poll, one);
        return;
    }
    double took = now() - one->asked;
    status = atoi(one->answer + 9);
    one->got = 0;
    one->asked = 0;
    waiting--;
    if (status == 200) note(&good, took);
    else if ((status == 429 || status == 503) && strcasestr(one->answer, "\r\nretry-after:")) note(&refused, took);
    else others++;
    if (strcasestr(one->answer, "\r\nconnection: close")) lose(poll, one);
    else be_free(number);
}

static int connected(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1) fail("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Ask something small, so that the server has let the connection in before the flood begins. */
static void let_in(struct stranger *one, const char *host, int port) {
    char text[256];
    int size = snprintf(text, sizeof text, "GET /health HTTP/1.1\r\nHost: %s:%d\r\n\r\n", host, port);
    if (send(one->fd, text, size, MSG_NOSIGNAL) != size) fail("let in");
    while (!whole(one)) {
        int count = recv(one->fd, one->answer + one->got, ANSWER_MAX - one->got, 0);
        if (count <= 0) fail("let in");
        one->got += count;
    }
    one->got = 0;
    fcntl(one->fd, F_SETFL, O_NONBLOCK);
}

static void ask(int poll, int number, char *request, int size, int step_at, long step) {
    struct stranger *one = &strangers[number];
    for (int place = DIGITS - 1; step_at >= 0 && place >= 0; place--, step /= 10) request[step_at + place] = '0' + step % 10;
    one->asked = now();
    waiting++;
    if (send(one->fd, request, size, MSG_NOSIGNAL) != size) lose(poll, one);
}

static void answer_events(int poll, int milliseconds) {
    struct epoll_event events[EVENTS_MAX];
    int count;
    do {
        count = epoll_wait(poll, events, EVENTS_MAX, milliseconds);
        for (int each = 0; each < count; each++)
            if (strangers[events[each].data.u32].fd >= 0) hear(poll, events[each].data.u32);
        milliseconds = 0;
    } while (count == EVENTS_MAX);
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

int main(int count, char **word) {
    if (count != 9) return 2;
    const char *host = word[1];
    int port = atoi(word[2]), size = atoi(word[7]), step_at = atoi(word[8]);
    double rate = atof(word[3]), seconds = atof(word[4]);
    connections = atoi(word[5]);
    FILE *file = fopen(word[6], "rb");
    if (!file || connections < 1 || size < 1) fail(word[6]);
    fseek(file, 0, SEEK_END);
    long kinds = ftell(file) / size;
    rewind(file);
    char *requests = malloc(kinds * size);
    strangers = calloc(connections, sizeof *strangers);
    idle = calloc(connections, sizeof *idle);
    if (!requests || !strangers || !idle || fread(requests, size, kinds, file) != (size_t)kinds || !kinds) fail("requests");
    int poll = epoll_create1(0);
    for (int each = 0; each < connections; each++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = each};
        strangers[each].fd = connected(host, port);
        let_in(&strangers[each], host, port);
        if (epoll_ctl(poll, EPOLL_CTL_ADD, strangers[each].fd, &event)) fail("epoll");
        be_free(each);
    }

    puts("began"); /* what it costs to let them in is not what is measured */
    fflush(stdout);
    long due = 0, carried = 0, first = 1000000000 + time(NULL) % 1000 * 8000000;
    double before = cpu_seconds(), began = now(), passed;
    while ((passed = now() - began) < seconds) {
        long wanted = rate ? (long)(passed * rate) : due + idle_count;
        for (long left = wanted - due; left > 0 && idle_count; left--) {
            int number = idle[idle_first];
            idle_first = (idle_first + 1) % connections;
            idle_count--;
            if (strangers[number].fd < 0) continue;
            ask(poll, number, requests + carried % kinds * size, size, step_at, first + carried);
            carried++;
        }
        due = wanted;
        if (rate) usleep(TICK_US);
        answer_events(poll, rate ? 0 : 10);
    }
    double ended = now(), cpu = cpu_seconds() - before;
    long late = good.count;
    while (waiting && now() - ended < AFTER_SECONDS) answer_events(poll, 10);
    late = good.count - late;

    qsort(good.took, good.count, sizeof(float), slower);
    qsort(refused.took, refused.count, sizeof(float), slower);
    long quick = 0;
    while (quick < refused.count && refused.took[quick] <= 0.05) quick++;
    printf("{\"seconds\": %.3f, \"due\": %ld, \"carried\": %ld, \"good\": %ld, \"good_late\": %ld, \"good_p50_ms\": %.3f, "
           "\"good_p99_ms\": %.3f, \"good_most_ms\": %.3f, \"refused\": %ld, \"refused_p50_ms\": %.3f, "
           "\"refused_p99_ms\": %.3f, \"refused_within_50_ms\": %.5f, \"others\": %ld, \"unanswered\": %ld, "
           "\"cpu_seconds\": %.2f}\n",
           ended - began, due, carried, good.count, late, at(&good, 0.5), at(&good, 0.99), at(&good, 1), refused.count,
           at(&refused, 0.5), at(&refused, 0.99), refused.count ? (double)quick / refused.count : 1.0, others, waiting,
           cpu);
    return 0;
}
