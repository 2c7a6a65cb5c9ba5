#include "os/internal/fork_child.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "core/error.h"

namespace sevenfold::os::internal {
namespace {

// As execvp finds it; between fork and exec nothing may allocate, so it is done before.
std::string find_program(const std::string& name) {
    if (name.find('/') != name.npos) return name;
    const char* path = std::getenv("PATH");
    std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
    int failure = ENOENT;
    for (;;) {
        size_t colon = rest.find(':');
        std::string folder(rest.substr(0, colon));
        std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        if (errno == EACCES) failure = EACCES;
        if (colon == rest.npos) throw errno_error("run " + name, failure);
        rest.remove_prefix(colon + 1);
    }
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (std::string& text : strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

struct Plan {
    const char* program;
    char** argv;
    char** environment;
    const int* streams;
    int report;  // the errno of what failed goes here; closed by a successful exec
    pid_t parent;
    bool own_group, die_with_parent;
    const ChildOptions::RunAs* run_as;
};

[[noreturn]] void give_up(int report) {
    int failure = errno;
    [[maybe_unused]] ssize_t n = ::write(report, &failure, sizeof failure);
    ::_exit(127);
}

// In the child, where only async-signal-safe functions may be called.
[[noreturn]] void become(const Plan& plan) {
    for (int signal = 1; signal < NSIG; ++signal)
        if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (plan.own_group) ::setpgid(0, 0);
    for (int i = 0; i < 3; ++i)
        if (plan.streams[i] >= 0 && ::dup2(plan.streams[i], i) < 0) give_up(plan.report);
    if (plan.run_as != nullptr &&
        (::setgroups(1, &plan.run_as->gid) != 0 || ::setgid(plan.run_as->gid) != 0 ||
         ::setuid(plan.run_as->uid) != 0))
        give_up(plan.report);
    // After the change of user, which clears it.
    if (plan.die_with_parent) {
        if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(plan.report);
        if (::getppid() != plan.parent) ::_exit(127);
    }
    ::dup2(plan.report, 3);
    ::fcntl(3, F_SETFD, FD_CLOEXEC);
    // Also what a library opened without O_CLOEXEC.
    ::closefrom(4);
    ::execve(plan.program, plan.argv, plan.environment);
    give_up(3);
}

}  // namespace

struct ForkedChild::Holder {
    std::mutex mutex;
    std::condition_variable changed;
    bool started = false, release = false;
    int failure = 0;
    pid_t pid = -1;
    std::thread thread;
};

ForkedChild::ForkedChild(const ChildOptions& options, const int (&streams)[3],
                         std::vector<std::string> environment)
    : holder_(std::make_unique<Holder>()) {
    std::string program = find_program(options.argv.at(0));
    std::vector<std::string> argv = options.argv;
    std::vector<char*> argv_pointers = pointers(argv), environment_pointers = pointers(environment);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw errno_error("pipe");
    UniqueFd read_end(ends[0]), write_end(ends[1]);
    UniqueFd report(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 4));  // clear of what is set up
    if (!report.valid()) throw errno_error("pipe");
    write_end.reset();
    Plan plan{program.c_str(),
              argv_pointers.data(),
              environment_pointers.data(),
              streams,
              report.get(),
              ::getpid(),
              options.own_group,
              options.die_with_parent,
              options.run_as ? &*options.run_as : nullptr};
    holder_->thread = std::thread([holder = holder_.get(), &plan] {
        // No handler of ours may run in the child before it has reset them.
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
        pid_t pid = ::fork();
        if (pid == 0) become(plan);
        std::unique_lock lock(holder->mutex);
        holder->pid = pid;
        holder->failure = errno;
        holder->started = true;
        holder->changed.notify_all();
        holder->changed.wait(lock, [&] { return holder->release; });
    });
    {
        std::unique_lock lock(holder_->mutex);
        holder_->changed.wait(lock, [&] { return holder_->started; });
    }
    report.reset();
    pid_ = holder_->pid;
    int failure = pid_ < 0 ? holder_->failure : 0;
    if (pid_ >= 0) {
        ssize_t n;
        do n = ::read(read_end.get(), &failure, sizeof failure);
        while (n < 0 && errno == EINTR);
        if (n != sizeof failure) return;  // the exec closed it
        int status;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
    }
    {
        std::lock_guard lock(holder_->mutex);
        holder_->release = true;
    }
    holder_->changed.notify_all();
    holder_->thread.join();
    throw errno_error("run " + options.argv[0], failure);
}

ForkedChild::~ForkedChild() {
    {
        std::lock_guard lock(holder_->mutex);
        holder_->release = true;
    }
    holder_->changed.notify_all();
    if (holder_->thread.joinable()) holder_->thread.join();
}

}  // namespace sevenfold::os::internal
