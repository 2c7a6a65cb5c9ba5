#include "protect/passwords.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "core/log.h"
#include "os/child_process.h"
#include "os/file.h"

namespace sevenfold::protect {
namespace {

constexpr uint64_t kLongestPassword = 64 << 10;

// The first line, as restic takes it: without its end of line, otherwise untouched.
Secret first_line(Bytes& bytes, const std::string& what) {
    std::string_view text = as_text(bytes);
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) text.remove_suffix(1);
    Secret secret(text);
    wipe(bytes.data(), bytes.size());
    if (secret.empty())
        throw Error(ErrorKind::config, fmt::format("{}: the password is empty", what));
    return secret;
}

void warn_if_open(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
    const unsigned mode = info.st_mode & 07777;
    if ((mode & 0037) != 0)  // the group may read it at most
        log_warning("password file {} can be read by others (mode {:04o}); chmod 600 it", path,
                    mode);
}

Secret from_file(const PasswordSource& source) {
    Bytes bytes;
    try {
        if (source.file == "-") {
            bytes = os::read_file("/dev/stdin", kLongestPassword);
        } else {
            warn_if_open(source.file);
            bytes = os::read_file(source.file, kLongestPassword);
        }
    } catch (const Error& error) {
        throw Error(ErrorKind::config,
                    fmt::format("{}: password file: {}", source.what, error.message()),
                    "The file's first line must be the repository's password.");
    }
    return first_line(bytes, fmt::format("{}: password file {}", source.what, source.file));
}

Secret from_command(const PasswordSource& source) {
    os::ChildOptions options;
    options.argv = {"/bin/sh", "-c", source.command};
    options.errors = os::ChildOptions::Stream::inherit;
    os::CommandOutput result =
        os::run_command(options, {}, std::chrono::minutes(5), kLongestPassword);
    if (!result.status.ok()) {
        wipe(result.output.data(), result.output.size());
        throw Error(ErrorKind::config,
                    fmt::format("{}: the password command failed ({})", source.what,
                                result.status.display()),
                    "Run it by hand; it must print the password and end with exit code 0.");
    }
    return first_line(result.output, fmt::format("{}: password command", source.what));
}

}  // namespace

Secret read_password(const PasswordSource& source) {
    if (!source.file.empty()) return from_file(source);
    if (!source.command.empty()) return from_command(source);
    throw Error(ErrorKind::config, fmt::format("{}: no password given", source.what));
}

Secret read_password(const config::PlaceConfig& place) {
    const std::string what = "place " + place.name;
    if (!place.password_file.empty() || !place.password_command.empty())
        return read_password(PasswordSource{
            .file = place.password_file, .command = place.password_command, .what = what});
    const std::string variable = config::password_variable(place.name);
    const char* value = std::getenv(variable.c_str());
    if (value == nullptr || *value == 0)
        throw Error(ErrorKind::config, fmt::format("{}: no password given", what),
                    fmt::format("Set password_file or password_command for it, or {}.", variable));
    return Secret(value);
}

}  // namespace sevenfold::protect
