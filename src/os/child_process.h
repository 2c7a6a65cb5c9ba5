// Child processes: started without a shell, connected by pipes, never left behind.
//
// A child gets the three standard streams and nothing else that is open here. Its arguments are
// visible to every user of the machine (`ps`): a Secret goes in through stdin or the environment,
// never through argv.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "os/file.h"

namespace sevenfold::os {

namespace internal {
class ForkedChild;
}

struct ExitStatus {
    int code = 0;    // the exit code, when it ended by itself
    int signal = 0;  // the signal that ended it, or 0

    bool ok() const { return code == 0 && signal == 0; }
    // "exit code 3", "killed by signal 9".
    std::string display() const;
};

struct ChildOptions {
    enum class Stream { inherit, null, pipe };

    std::vector<std::string> argv;  // argv[0] is looked up in PATH
    Stream input = Stream::null;
    Stream output = Stream::inherit;
    // pipe: read by a thread of ChildProcess, which keeps the end of it for error_tail().
    Stream errors = Stream::pipe;
    // When set, a socket that becomes both standard input and output, whatever those two say. It
    // stays the caller's, must be 3 or above, and goes without die_with_parent and run_as.
    int connection = -1;
    // Set in addition to our own environment, or replacing entries of it.
    std::vector<std::pair<std::string, std::string>> environment;
    // A process group of its own: the terminal's Ctrl-C does not reach it. Must be off for a child
    // that asks on the terminal.
    bool own_group = false;
    // Killed when this process ends, however it ends, also when it is killed.
    bool die_with_parent = false;
    // Another user, with that group alone; only root can.
    struct RunAs {
        uid_t uid;
        gid_t gid;
    };
    std::optional<RunAs> run_as;
};

// One running child. wait and kill may be called from any thread; the streams belong to whoever
// uses them. The destructor kills (SIGKILL) and reaps.
class ChildProcess {
  public:
    // Throws not_found when there is no such program, permission when it may not be run.
    explicit ChildProcess(const ChildOptions& options);
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    pid_t pid() const { return pid_; }
    // Our ends of the pipes; -1 for streams that are not pipes.
    int input_fd() const { return input_.get(); }
    int output_fd() const { return output_.get(); }
    void close_input() { input_.reset(); }

    // Waits for the end. Calling it again gives the same answer.
    ExitStatus wait();
    // The status if it ends within `patience`.
    std::optional<ExitStatus> wait_for(std::chrono::nanoseconds patience);
    // Does nothing once the child was reaped.
    void kill(int signal);

    // The last 8 KiB or less of what came on its stderr so far; all of it once wait() returned and
    // nobody else holds its stderr.
    std::string error_tail() const;

  private:
    struct ErrorReader;
    bool reap(bool block);
    void fork(const ChildOptions& options, const int (&pipe_ends)[3]);

    pid_t pid_ = -1;
    UniqueFd pid_fd_, input_, output_;
    std::unique_ptr<ErrorReader> errors_;
    struct State;
    std::unique_ptr<State> state_;
    std::unique_ptr<internal::ForkedChild> forked_;
};

// A write to a pipe that reports a vanished reader as EPIPE instead of by SIGPIPE, whatever the
// program does with that signal. Like writev(2): may write less; -1 and errno on failure.
struct ConstBuffer {
    const uint8_t* data;
    size_t size;
};
ssize_t write_pipe(int fd, const ConstBuffer* buffers, int count);

struct CommandOutput {
    ExitStatus status;
    Bytes output;
    std::string errors;  // the end of stderr
};
// Runs a command to its end, feeding `input` and collecting stdout. Throws Error{timeout} (and
// kills it) after `patience`, Error{io} when it prints more than `output_limit` bytes. `streams` of
// options are ignored except `errors`.
CommandOutput run_command(ChildOptions options, ByteView input = {},
                          std::chrono::nanoseconds patience = std::chrono::hours(24),
                          size_t output_limit = size_t{64} << 20);

// Splits a command line into words as restic does for its *_command options: blanks separate,
// single and double quotes and backslash quote; no variables, no globs, no shell.
// Throws Error{config} for an unfinished quote or no word.
std::vector<std::string> split_command(std::string_view line);

}  // namespace sevenfold::os
