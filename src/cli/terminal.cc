#include "cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "cli/utf8.h"
#include "core/log.h"
#include "os/file.h"

namespace sevenfold::cli {
namespace {

// Log lines must go around the status line, and a log sink is a plain function: this names the
// terminal that shows one.
std::atomic<Terminal*> log_terminal{nullptr};

void log_to_terminal(LogLevel level, std::string_view line) {
    Terminal* terminal = log_terminal.load();
    if (terminal == nullptr) return;
    std::string text(level == LogLevel::warning ? "warning: "
                     : level == LogLevel::error ? "error: "
                     : level == LogLevel::debug ? "debug: "
                                                : "");
    terminal->note(text.append(line));
}

size_t columns_of(std::FILE* file) {
    winsize size{};
    if (::ioctl(::fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

// Switches a terminal's echo off until it goes away.
class WithoutEcho {
  public:
    explicit WithoutEcho(int fd) : fd_(fd) {
        if (::tcgetattr(fd_, &saved_) != 0) return;
        termios quiet = saved_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        changed_ = ::tcsetattr(fd_, TCSAFLUSH, &quiet) == 0;
    }
    ~WithoutEcho() {
        if (changed_) ::tcsetattr(fd_, TCSAFLUSH, &saved_);
    }
    WithoutEcho(const WithoutEcho&) = delete;
    WithoutEcho& operator=(const WithoutEcho&) = delete;

  private:
    int fd_;
    termios saved_{};
    bool changed_ = false;
};

// One line without its newline; a signal that requests a stop breaks it off.
std::string read_line(int fd, const std::stop_token& stop) {
    std::string line;
    for (;;) {
        char c = 0;
        ssize_t n = ::read(fd, &c, 1);
        if (n < 0 && errno == EINTR && !stop.stop_requested()) continue;
        if (n < 0 && errno != EINTR) throw errno_error("read an answer");
        if (n <= 0 && (line.empty() || n < 0)) {
            wipe(line.data(), line.size());
            throw Error(ErrorKind::interrupted, "no answer given");
        }
        if (n == 0 || c == '\n') return line;
        line += c;
    }
}

std::string trimmed(std::string text) {
    text.erase(0, text.find_first_not_of(" \t\r"));
    text.erase(text.find_last_not_of(" \t\r") + 1);
    return text;
}

}  // namespace

std::string paint(Style style, std::string_view text) {
    constexpr std::string_view kCodes[] = {"", "1", "2", "31", "32", "33", "36"};
    if (style == Style::plain) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<size_t>(style)], text);
}

Terminal::Terminal(std::FILE* out, std::FILE* err)
    : out_(out),
      err_(err),
      out_is_tty_(::isatty(::fileno(out)) == 1),
      err_is_tty_(::isatty(::fileno(err)) == 1) {
    set_options({});
    log_terminal = this;
    set_log_sink(log_to_terminal);
}

Terminal::~Terminal() {
    status("");
    if (log_terminal.load() == this) {
        set_log_sink(nullptr);
        log_terminal = nullptr;
    }
}

void Terminal::set_options(const TerminalOptions& options) {
    options_ = options;
    const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org: set and not empty
    const char* kind = std::getenv("TERM");
    bool wanted = !options.no_color && !options.json && (no_color == nullptr || *no_color == 0) &&
                  (kind == nullptr || std::string_view(kind) != "dumb");
    painted_out_ = wanted && out_is_tty_;
    painted_err_ = wanted && err_is_tty_;
    set_log_level(options.verbosity >= 2   ? LogLevel::debug
                  : options.verbosity == 1 ? LogLevel::info
                                           : LogLevel::warning);
}

void Terminal::write(std::FILE* file, std::string_view text, const char* what) {
    std::string line(text);
    line += '\n';
    if (std::fwrite(line.data(), 1, line.size(), file) != line.size() || std::fflush(file) != 0)
        throw errno_error(what);
}

void Terminal::print(std::string_view text) {
    if (options_.json) return;
    std::lock_guard lock(mutex_);
    hide_status();
    write(out_, text, "write to standard output");
    show_status();
}

void Terminal::json(const JsonObject& object) {
    if (!options_.json) return;
    std::lock_guard lock(mutex_);
    write(out_, object.text(), "write to standard output");
}

void Terminal::note(std::string_view text) {
    // Warnings still reach the standard error stream of a program that reads our JSON.
    bool warning = text.starts_with("warning: ") || text.starts_with("error: ");
    if ((options_.json || options_.quiet) && !warning) return;
    std::lock_guard lock(mutex_);
    hide_status();
    std::string line(text);
    if (painted_err_ && text.starts_with("warning: "))
        line = paint(Style::yellow, "warning:") + line.substr(8);
    try {
        write(err_, line, "write to standard error");
    } catch (const Error&) {
        // Nobody reads it; the work goes on.
    }
    show_status();
}

void Terminal::detail(std::string_view text) {
    if (options_.verbosity > 0) note(text);
}

void Terminal::error(const Error& error) {
    std::lock_guard lock(mutex_);
    hide_status();
    status_.clear();
    try {
        if (options_.json) {
            JsonObject object;
            object.set("type", "error").set("kind", name(error.kind()));
            object.set("message", error.message());
            if (!error.hint().empty()) object.set("hint", error.hint());
            write(out_, object.set("exit_code", exit_code(error.kind())).text(), "standard output");
            return;
        }
        std::string head = painted_err_ ? paint(Style::red, "error:") : "error:";
        write(err_, fmt::format("{} {}", head, printable(error.message())), "standard error");
        if (error.hint().empty()) return;
        head = painted_err_ ? paint(Style::cyan, "hint:") : "hint:";
        write(err_, fmt::format("{} {}", head, printable(error.hint())), "standard error");
    } catch (const Error&) {
        // The exit code still tells.
    }
}

bool Terminal::live() const { return err_is_tty_ && !options_.json && !options_.quiet; }

void Terminal::status(std::string_view text) {
    std::lock_guard lock(mutex_);
    if (!live()) return;
    hide_status();
    status_ = text;
    show_status();
}

void Terminal::hide_status() {
    if (!status_.empty()) std::fputs("\r\x1b[K", err_);
}

void Terminal::show_status() {
    if (status_.empty()) return;
    std::fwrite(status_.data(), 1, status_.size(), err_);
    std::fflush(err_);
}

std::string Terminal::styled(Style style, std::string_view text) const {
    return painted_out_ ? paint(style, text) : std::string(text);
}

size_t Terminal::width() const { return out_is_tty_ ? columns_of(out_) : 0; }
size_t Terminal::status_width() const { return err_is_tty_ ? columns_of(err_) : 80; }

bool Terminal::can_ask() const { return !options_.json && ::isatty(STDIN_FILENO) == 1; }

std::string Terminal::ask(std::string_view question, std::string_view preset,
                          std::stop_token stop) {
    std::string prompt(question);
    if (!preset.empty()) prompt += fmt::format(" [{}]", preset);
    std::fputs((prompt + ": ").c_str(), err_);
    std::fflush(err_);
    std::string answer = trimmed(read_line(STDIN_FILENO, stop));
    return answer.empty() ? std::string(preset) : answer;
}

bool Terminal::confirm(std::string_view question, bool preset, std::stop_token stop) {
    std::string answer = ask(question, preset ? "Y/n" : "y/N", stop);
    if (answer == "Y/n" || answer == "y/N") return preset;
    return answer[0] == 'y' || answer[0] == 'Y';
}

Secret Terminal::ask_password(std::string_view prompt, std::stop_token stop) {
    os::UniqueFd tty(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
    if (!tty.valid())
        throw Error(ErrorKind::usage, "there is no terminal to ask for a password",
                    "Give it with --password-file, --password-command or the environment.");
    std::string text = fmt::format("{}: ", prompt);
    os::write_all(tty.get(), as_bytes(text), "/dev/tty");
    std::string line;
    {
        WithoutEcho quiet(tty.get());
        line = read_line(tty.get(), stop);
    }
    os::write_all(tty.get(), as_bytes("\n"), "/dev/tty");
    Secret secret(line);
    wipe(line.data(), line.size());
    return secret;
}

}  // namespace sevenfold::cli
