#include "cli/interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "core/error.h"

namespace sevenfold::cli {
namespace {

// A signal handler can reach nothing but globals.
int wake_pipe[2] = {-1, -1};
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

extern "C" void on_signal(int) {
    const int saved = errno;
    for (int signal : kSignals) ::signal(signal, SIG_DFL);  // the next one kills
    [[maybe_unused]] ssize_t n = ::write(wake_pipe[1], "s", 1);
    errno = saved;
}

// A signal that the caller has set to be ignored (nohup) stays ignored.
void handle(int signal) {
    struct sigaction old {};
    ::sigaction(signal, nullptr, &old);
    if (old.sa_handler == SIG_IGN) return;
    struct sigaction action {};
    action.sa_handler = on_signal;  // without SA_RESTART: a question on the terminal is broken off
    ::sigaction(signal, &action, nullptr);
}

}  // namespace

Interrupts::Interrupts() {
    if (::pipe2(wake_pipe, O_CLOEXEC) != 0) throw errno_error("make a pipe for signals");
    // The watcher takes no signals itself: they must break the main thread's read().
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    watcher_ = std::jthread([this] {
        char what = 0;
        while (::read(wake_pipe[0], &what, 1) < 0 && errno == EINTR) {
        }
        if (what == 's') stop_.request_stop();
    });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    for (int signal : kSignals) handle(signal);
    ::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write, not the end
}

Interrupts::~Interrupts() {
    for (int signal : kSignals) ::signal(signal, SIG_DFL);
    [[maybe_unused]] ssize_t n = ::write(wake_pipe[1], "e", 1);
    watcher_.join();
    for (int& fd : wake_pipe) {
        ::close(fd);
        fd = -1;
    }
}

}  // namespace sevenfold::cli
