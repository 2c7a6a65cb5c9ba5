// The one way to the person or program that called us.
//
// Standard output carries results: text, or with --json one JSON object a line. Standard error
// carries progress, notes, warnings and errors. Colour and live lines only on a terminal.
#pragma once

#include <cstdio>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

#include "cli/json.h"
#include "core/error.h"
#include "core/secret.h"

namespace sevenfold::cli {

enum class Style { plain, bold, dim, red, green, yellow, cyan };
// The text between the escape sequences of a style.
std::string paint(Style style, std::string_view text);

struct TerminalOptions {
    bool json = false;
    bool quiet = false;  // results and errors only
    int verbosity = 0;   // number of -v
    bool no_color = false;
};

// Thread-safe: lines of several threads do not mix.
class Terminal {
  public:
    // The files stay the caller's.
    explicit Terminal(std::FILE* out = stdout, std::FILE* err = stderr);
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;
    void set_options(const TerminalOptions& options);
    const TerminalOptions& options() const { return options_; }
    bool is_json() const { return options_.json; }

    // Results for people, a newline is added; nothing with --json. The caller has made foreign
    // names printable() (Table does it itself). Throws Error{io} when standard output is gone.
    void print(std::string_view text);
    // Results for programs; nothing without --json.
    void json(const JsonObject& object);
    // What goes on, on standard error; nothing with --json or -q.
    void note(std::string_view text);
    // As note(), but only with -v.
    void detail(std::string_view text);
    // "error: …" and "hint: …" on standard error; with --json an object of type "error" on standard
    // output, so that a program reads one stream.
    void error(const Error& error);

    // A line at the bottom of the terminal that is replaced by the next; empty: none. It is removed
    // while other lines are written. Nothing unless live().
    void status(std::string_view text);
    bool live() const;  // standard error is a terminal and neither --json nor -q is given

    bool painted() const { return painted_out_; }  // colours on standard output
    // Coloured for standard output if it takes colours.
    std::string styled(Style style, std::string_view text) const;
    size_t width() const;         // columns of standard output; 0: not a terminal
    size_t status_width() const;  // of standard error; 80 when unknown

    // Whether there is somebody to ask: standard input is a terminal and --json is not given.
    bool can_ask() const;
    // The answer, trimmed; `preset` when it is empty. Throws interrupted at end of input or when
    // `stop` is requested.
    std::string ask(std::string_view question, std::string_view preset, std::stop_token stop);
    bool confirm(std::string_view question, bool preset, std::stop_token stop);
    // Reads from /dev/tty without echo.
    Secret ask_password(std::string_view prompt, std::stop_token stop);

  private:
    void write(std::FILE* file, std::string_view text, const char* what);
    void hide_status();
    void show_status();

    std::FILE* out_;
    std::FILE* err_;
    bool out_is_tty_, err_is_tty_;
    bool painted_out_ = false, painted_err_ = false;
    TerminalOptions options_;
    std::recursive_mutex mutex_;
    std::string status_;
};

}  // namespace sevenfold::cli
