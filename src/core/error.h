// The one error type of the program and the one table of its kinds and exit codes.
//
// Messages: lower case, no full stop, name the object ("pack 1a2b…: ciphertext verification
// failed"). Hints: a sentence that says what to do. Neither may ever hold a secret.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace sevenfold {

enum class ErrorKind {
    internal,        // a bug of ours
    usage,           // wrong command line
    config,          // wrong configuration
    io,              // the operating system failed an operation
    not_found,       // a file, object or item does not exist
    exists,          // something is there already that must not be
    permission,      // access denied
    no_space,        // disk full or quota reached
    network,         // connection lost, refused or unreachable
    timeout,         // no answer in time
    corrupt,         // stored data is damaged, or not what its name says
    wrong_password,  // no key opens with this password
    locked,          // the repository is locked by somebody else
    no_repository,   // nothing that is a repository at this place
    partial,         // done, but some items could not be read
    rule,            // a rule or an audit does not hold
    refused,         // we refuse to do it: it would be dangerous
    unsupported,     // the other side or this platform cannot do it
    interrupted,     // the user or the system asked us to stop
};

// The stable name used in JSON output: "wrong_password".
std::string_view name(ErrorKind kind);

// 0 done, 1 failed, 2 usage or config, 3 partly saved, 10 no repository, 11 locked,
// 12 wrong password, 20 a rule does not hold, 130 interrupted.
int exit_code(ErrorKind kind);

// True when the same operation may succeed if it is tried again.
bool is_temporary(ErrorKind kind);

class Error : public std::exception {
  public:
    Error(ErrorKind kind, std::string message, std::string hint = {});

    ErrorKind kind() const { return kind_; }
    const std::string& message() const { return message_; }
    const std::string& hint() const { return hint_; }
    const char* what() const noexcept override { return message_.c_str(); }

    // The same error with "context: " put before its message; for the place where a layer is
    // crossed.
    Error with_context(std::string_view context) const;
    Error with_hint(std::string hint) const { return Error(kind_, message_, std::move(hint)); }

  private:
    ErrorKind kind_;
    std::string message_;
    std::string hint_;
};

// An Error for the current or given errno: "open /x: permission denied". ENOENT,
// EACCES/EPERM/EROFS, ENOSPC/EDQUOT, EEXIST and connection errors get their own kinds, everything
// else is `io`.
Error errno_error(std::string_view what, int error_number);
Error errno_error(std::string_view what);

// Turns whatever is being handled into an Error (std::bad_alloc and strangers become `internal`).
// Call inside a catch block.
Error current_error();

}  // namespace sevenfold
