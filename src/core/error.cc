#include "core/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace sevenfold {
namespace {

struct Row {
    ErrorKind kind;
    std::string_view name;
    int exit_code;
    bool temporary;
};

constexpr Row kRows[] = {
    {ErrorKind::internal, "internal", 1, false},
    {ErrorKind::usage, "usage", 2, false},
    {ErrorKind::config, "config", 2, false},
    {ErrorKind::io, "io", 1, true},
    {ErrorKind::not_found, "not_found", 1, false},
    {ErrorKind::exists, "exists", 1, false},
    {ErrorKind::permission, "permission", 1, false},
    {ErrorKind::no_space, "no_space", 1, false},
    {ErrorKind::network, "network", 1, true},
    {ErrorKind::timeout, "timeout", 1, true},
    {ErrorKind::corrupt, "corrupt", 1, false},
    {ErrorKind::wrong_password, "wrong_password", 12, false},
    {ErrorKind::locked, "locked", 11, false},
    {ErrorKind::no_repository, "no_repository", 10, false},
    {ErrorKind::partial, "partial", 3, false},
    {ErrorKind::rule, "rule", 20, false},
    {ErrorKind::refused, "refused", 1, false},
    {ErrorKind::unsupported, "unsupported", 1, false},
    {ErrorKind::interrupted, "interrupted", 130, false},
};

const Row& row(ErrorKind kind) {
    for (const Row& r : kRows)
        if (r.kind == kind) return r;
    return kRows[0];
}

ErrorKind kind_of_errno(int number) {
    switch (number) {
        case ENOENT:
            return ErrorKind::not_found;
        case EACCES:
        case EPERM:
        case EROFS:
            return ErrorKind::permission;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return ErrorKind::no_space;
        case EEXIST:
            return ErrorKind::exists;
        case ETIMEDOUT:
            return ErrorKind::timeout;
        case ECONNREFUSED:
        case ECONNRESET:
        case ECONNABORTED:
        case EPIPE:
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENOTCONN:
            return ErrorKind::network;
        default:
            return ErrorKind::io;
    }
}

}  // namespace

std::string_view name(ErrorKind kind) { return row(kind).name; }
int exit_code(ErrorKind kind) { return row(kind).exit_code; }
bool is_temporary(ErrorKind kind) { return row(kind).temporary; }

Error::Error(ErrorKind kind, std::string message, std::string hint)
    : kind_(kind), message_(std::move(message)), hint_(std::move(hint)) {}

Error Error::with_context(std::string_view context) const {
    return Error(kind_, fmt::format("{}: {}", context, message_), hint_);
}

Error errno_error(std::string_view what, int error_number) {
    std::string reason = std::generic_category().message(error_number);
    if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] += 'a' - 'A';
    return Error(kind_of_errno(error_number), fmt::format("{}: {}", what, reason));
}

Error errno_error(std::string_view what) { return errno_error(what, errno); }

Error current_error() {
    try {
        throw;
    } catch (const Error& error) {
        return error;
    } catch (const std::bad_alloc&) {
        return Error(ErrorKind::internal, "out of memory");
    } catch (const std::exception& error) {
        return Error(ErrorKind::internal, error.what());
    } catch (...) {
        return Error(ErrorKind::internal, "unknown exception");
    }
}

}  // namespace sevenfold
