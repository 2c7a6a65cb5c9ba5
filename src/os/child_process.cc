#include "os/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <thread>

#include "core/check.h"
#include "core/error.h"
#include "os/internal/fork_child.h"

extern char** environ;

namespace sevenfold::os {
namespace {

using std::chrono::steady_clock;
using Stream = ChildOptions::Stream;

constexpr size_t kErrorTail = 8192;
// Large pipes save context switches when packs flow through them; the kernel may refuse.
constexpr int kPipeSize = 1 << 20;

struct Pipe {
    UniqueFd read, write;
};

// Both ends at 3 or above, so that they cannot collide with the streams they become.
Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw errno_error("pipe");
    Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
    for (UniqueFd* end : {&pipe.read, &pipe.write}) {
        if (end->get() > 2) continue;
        int higher = ::fcntl(end->get(), F_DUPFD_CLOEXEC, 3);
        if (higher < 0) throw errno_error("pipe");
        end->reset(higher);
    }
    ::fcntl(pipe.write.get(), F_SETPIPE_SZ, kPipeSize);
    return pipe;
}

struct FileActions {
    FileActions() { CHECK(::posix_spawn_file_actions_init(&actions) == 0); }
    ~FileActions() { ::posix_spawn_file_actions_destroy(&actions); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;

    void connect(int target, Stream stream, int pipe_end) {
        int failure = 0;
        if (stream == Stream::null)
            failure = ::posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0);
        else if (stream == Stream::pipe)
            failure = ::posix_spawn_file_actions_adddup2(&actions, pipe_end, target);
        CHECK(failure == 0);
    }
    posix_spawn_file_actions_t actions;
};

// The child starts with no signal blocked and default actions, whatever we have set for ourselves.
struct SpawnAttributes {
    explicit SpawnAttributes(bool own_group) {
        CHECK(::posix_spawnattr_init(&attributes) == 0);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        sigdelset(&all, SIGKILL);
        sigdelset(&all, SIGSTOP);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setpgroup(&attributes, 0);
        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        if (own_group) flags |= POSIX_SPAWN_SETPGROUP;
        ::posix_spawnattr_setflags(&attributes, flags);
    }
    ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes); }
    SpawnAttributes(const SpawnAttributes&) = delete;
    SpawnAttributes& operator=(const SpawnAttributes&) = delete;
    posix_spawnattr_t attributes;
};

std::vector<std::string> merged_environment(const ChildOptions& options) {
    std::vector<std::string> out;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        std::string_view text = *entry;
        std::string_view key = text.substr(0, text.find('='));
        bool replaced = std::ranges::any_of(options.environment,
                                            [&](const auto& pair) { return pair.first == key; });
        if (!replaced) out.emplace_back(text);
    }
    for (const auto& [key, value] : options.environment) out.push_back(key + "=" + value);
    return out;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> out;
    for (std::string& text : strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// The cheaper way, without what only fork allows.
void spawn(const ChildOptions& options, const FileActions& actions, pid_t& pid) {
    SpawnAttributes attributes(options.own_group);
    std::vector<std::string> argv = options.argv, environment = merged_environment(options);
    int failure = ::posix_spawnp(&pid, argv[0].c_str(), &actions.actions, &attributes.attributes,
                                 pointers(argv).data(), pointers(environment).data());
    if (failure != 0) throw errno_error("run " + options.argv[0], failure);
}

int poll_timeout(steady_clock::time_point until) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

}  // namespace

std::string ExitStatus::display() const {
    return signal != 0 ? fmt::format("killed by signal {}", signal)
                       : fmt::format("exit code {}", code);
}

// Keeps the end of the child's stderr. A process that the child left in the background may hold the
// pipe open for ever (ssh's ControlPersist does), hence the event that ends the thread.
struct ChildProcess::ErrorReader {
    explicit ErrorReader(UniqueFd from) : fd(std::move(from)), stop(::eventfd(0, EFD_CLOEXEC)) {
        if (!stop.valid()) throw errno_error("eventfd");
        thread = std::thread([this] { run(); });
    }
    ~ErrorReader() { finish(std::chrono::nanoseconds(0)); }

    // Gives the thread `patience` to reach the end by itself.
    void finish(std::chrono::nanoseconds patience) {
        {
            std::unique_lock lock(mutex);
            ended.wait_for(lock, patience, [&] { return done; });
        }
        uint64_t one = 1;
        CHECK(::write(stop.get(), &one, sizeof one) == sizeof one);
        if (thread.joinable()) thread.join();
    }
    void run() {
        for (;;) {
            pollfd fds[] = {{stop.get(), POLLIN, 0}, {fd.get(), POLLIN, 0}};
            if (::poll(fds, 2, -1) < 0 && errno != EINTR) break;
            if (fds[1].revents != 0) {
                char buffer[4096];
                ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
                if (n == 0 || (n < 0 && errno != EINTR)) break;
                if (n < 0) continue;
                std::lock_guard lock(mutex);
                tail.append(buffer, static_cast<size_t>(n));
                if (tail.size() > kErrorTail) tail.erase(0, tail.size() - kErrorTail);
            } else if (fds[0].revents != 0) {
                break;
            }
        }
        std::lock_guard lock(mutex);
        done = true;
        ended.notify_all();
    }

    UniqueFd fd, stop;
    mutable std::mutex mutex;
    std::condition_variable ended;
    bool done = false;
    std::string tail;
    std::thread thread;
};

struct ChildProcess::State {
    std::mutex mutex;
    std::optional<ExitStatus> status;
};

ChildProcess::ChildProcess(const ChildOptions& options) : state_(std::make_unique<State>()) {
    CHECK(!options.argv.empty());
    Pipe input, output, errors;
    FileActions actions;
    if (options.connection < 0 && options.input == Stream::pipe) input = make_pipe();
    if (options.connection < 0 && options.output == Stream::pipe) output = make_pipe();
    if (options.errors == Stream::pipe) errors = make_pipe();
    if (options.connection >= 0) {
        CHECK(options.connection > 2 && !options.die_with_parent && !options.run_as);
        for (int target : {0, 1}) actions.connect(target, Stream::pipe, options.connection);
    } else {
        actions.connect(0, options.input, input.read.get());
        actions.connect(1, options.output, output.write.get());
    }
    actions.connect(2, options.errors, errors.write.get());
    // Also what a library opened without O_CLOEXEC.
    CHECK(::posix_spawn_file_actions_addclosefrom_np(&actions.actions, 3) == 0);

    if (options.die_with_parent || options.run_as)
        fork(options, {input.read.get(), output.write.get(), errors.write.get()});
    else
        spawn(options, actions, pid_);
    try {
        // By number: glibc 2.36's header forgets extern "C".
        pid_fd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        if (!pid_fd_.valid()) throw errno_error("watch child process");
        input_ = std::move(input.write);
        output_ = std::move(output.read);
        errors.write.reset();
        if (errors.read.valid()) errors_ = std::make_unique<ErrorReader>(std::move(errors.read));
    } catch (...) {
        ::kill(pid_, SIGKILL);
        reap(true);
        throw;
    }
}

void ChildProcess::fork(const ChildOptions& options, const int (&pipe_ends)[3]) {
    UniqueFd null;
    int streams[3];
    const Stream kinds[3] = {options.input, options.output, options.errors};
    for (int i = 0; i < 3; ++i) {
        if (kinds[i] == Stream::null && !null.valid()) {
            UniqueFd low = open_file("/dev/null", O_RDWR);
            null.reset(::fcntl(low.get(), F_DUPFD_CLOEXEC, 3));
            if (!null.valid()) throw errno_error("open /dev/null");
        }
        streams[i] = kinds[i] == Stream::null   ? null.get()
                     : kinds[i] == Stream::pipe ? pipe_ends[i]
                                                : -1;
    }
    forked_ =
        std::make_unique<internal::ForkedChild>(options, streams, merged_environment(options));
    pid_ = forked_->pid();
}

ChildProcess::~ChildProcess() {
    kill(SIGKILL);
    reap(true);
}

bool ChildProcess::reap(bool block) {
    std::lock_guard lock(state_->mutex);
    if (state_->status) return true;
    int status = 0;
    pid_t pid;
    do pid = ::waitpid(pid_, &status, block ? 0 : WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid == 0) return false;
    // Somebody else's reaping (SIGCHLD ignored) leaves no status: count as failed.
    if (pid < 0)
        state_->status = ExitStatus{.code = -1};
    else if (WIFSIGNALED(status))
        state_->status = ExitStatus{.signal = WTERMSIG(status)};
    else
        state_->status = ExitStatus{.code = WEXITSTATUS(status)};
    return true;
}

std::optional<ExitStatus> ChildProcess::wait_for(std::chrono::nanoseconds patience) {
    auto until = steady_clock::now() + patience;
    while (!reap(false)) {
        pollfd fd{pid_fd_.get(), POLLIN, 0};
        int n = ::poll(&fd, 1, poll_timeout(until));
        if (n == 0 && steady_clock::now() >= until) return std::nullopt;
    }
    std::lock_guard lock(state_->mutex);
    return state_->status;
}

ExitStatus ChildProcess::wait() {
    // The lock is not held while waiting, so that kill() from another thread gets through.
    while (!wait_for(std::chrono::hours(1))) {
    }
    if (errors_) {
        std::unique_lock lock(errors_->mutex);
        errors_->ended.wait_for(lock, std::chrono::seconds(1), [&] { return errors_->done; });
    }
    std::lock_guard lock(state_->mutex);
    return *state_->status;
}

void ChildProcess::kill(int signal) {
    std::lock_guard lock(state_->mutex);
    if (!state_->status) ::kill(pid_, signal);
}

std::string ChildProcess::error_tail() const {
    if (!errors_) return {};
    std::lock_guard lock(errors_->mutex);
    return errors_->tail;
}

ssize_t write_pipe(int fd, const ConstBuffer* buffers, int count) {
    CHECK(count > 0 && count <= 8);
    iovec parts[8];
    for (int i = 0; i < count; ++i)
        parts[i] = {const_cast<uint8_t*>(buffers[i].data), buffers[i].size};
    // SIGPIPE goes to the thread that writes: block it here and take it away if it came from us.
    sigset_t pipe_only, former, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigemptyset(&pending);
    ::sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_only, &former);
    ssize_t n;
    do n = ::writev(fd, parts, count);
    while (n < 0 && errno == EINTR);
    int failure = errno;
    if (n < 0 && failure == EPIPE && !was_pending) {
        timespec now{};
        while (::sigtimedwait(&pipe_only, nullptr, &now) < 0 && errno == EINTR) {
        }
    }
    ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
    errno = failure;
    return n;
}

CommandOutput run_command(ChildOptions options, ByteView input, std::chrono::nanoseconds patience,
                          size_t output_limit) {
    options.input = input.empty() ? Stream::null : Stream::pipe;
    options.output = Stream::pipe;
    const std::string& program = options.argv.at(0);
    auto until = steady_clock::now() + patience;
    auto too_long = [&] {
        return Error(ErrorKind::timeout, fmt::format("{}: no end in the time given", program));
    };
    ChildProcess child(options);
    if (!input.empty()) ::fcntl(child.input_fd(), F_SETFL, O_NONBLOCK);
    CommandOutput result;
    uint8_t buffer[65536];
    for (;;) {
        pollfd fds[] = {{child.output_fd(), POLLIN, 0}, {child.input_fd(), POLLOUT, 0}};
        int n = ::poll(fds, 2, poll_timeout(until));  // an fd of -1 is ignored
        if (n < 0 && errno != EINTR) throw errno_error("poll " + program);
        if (n == 0 && steady_clock::now() >= until) throw too_long();
        if (n <= 0) continue;
        if (fds[1].revents != 0) {
            ConstBuffer rest{input.data(), input.size()};
            ssize_t written = write_pipe(child.input_fd(), &rest, 1);
            if (written > 0) input = input.subspan(static_cast<size_t>(written));
            // A command that does not want all of its input is not an error of ours.
            if (input.empty() || (written < 0 && errno != EAGAIN)) child.close_input();
        }
        if (fds[0].revents != 0) {
            size_t got = read_some(child.output_fd(), buffer, program);
            if (got == 0) break;
            if (result.output.size() + got > output_limit)
                throw Error(ErrorKind::io,
                            fmt::format("{}: printed more than {} bytes", program, output_limit));
            append(result.output, ByteView(buffer, got));
        }
    }
    child.close_input();
    if (!child.wait_for(std::max(until - steady_clock::now(), steady_clock::duration(0))))
        throw too_long();
    result.status = child.wait();
    result.errors = child.error_tail();
    return result;
}

std::vector<std::string> split_command(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    char quote = 0;
    for (size_t i = 0; i < line.size(); ++i) {
        char c = line[i];
        if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
            if (in_word) words.push_back(std::exchange(word, {}));
            in_word = false;
        } else if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
            in_word = true;
        } else if (c == quote) {
            quote = 0;
        } else {
            if (c == '\\' && quote != '\'' && i + 1 < line.size()) c = line[++i];
            word += c;
            in_word = true;
        }
    }
    if (quote != 0)
        throw Error(ErrorKind::config, "command: a quote is not closed",
                    "Close every ' and \" in the command.");
    if (in_word) words.push_back(std::move(word));
    if (words.empty()) throw Error(ErrorKind::config, "command: it is empty");
    return words;
}

}  // namespace sevenfold::os
