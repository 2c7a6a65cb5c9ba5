// The options that all `repo` commands share, and what they open.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/command_tree.h"
#include "repository/lock.h"
#include "repository/repository.h"

namespace sevenfold::cli {

// As restic names them. What is not given comes from SEVENFOLD_<X> or RESTIC_<X> with <X> =
// REPOSITORY, REPOSITORY_FILE, PASSWORD, PASSWORD_FILE, PASSWORD_COMMAND, CACHE_DIR, CACERT.
struct RepoOptions {
    std::string repository, repository_file;
    std::string password_file, password_command;
    std::string key_hint;
    bool no_cache = false;
    std::string cache_dir;  // empty: $XDG_CACHE_HOME/sevenfold
    bool no_lock = false;
    std::string retry_lock;     // a duration
    uint64_t limit_upload = 0;  // KiB/s
    uint64_t limit_download = 0;
    std::string ca_file;
    std::string as_of;                  // a time: the repository as it was then, read-only
    std::vector<std::string> extended;  // key=value: sftp.command, sftp.args, sftp.connections, …
};

// Declares them on a group; the commands in it keep the returned object.
std::shared_ptr<RepoOptions> add_repo_options(CommandTree& group);

// Folder for caches and journals of interrupted runs; empty with --no-cache.
std::string cache_folder(const RepoOptions& options);
// The repository's URL. Throws usage when none is given.
std::string repository_url(const RepoOptions& options);
// What --place-as-of says; empty: nothing. Throws usage.
std::optional<Time> past_moment(const std::string& text);
// With retries and limits; opens nothing yet.
std::unique_ptr<storage::Backend> open_backend(Context& context, const RepoOptions& options);
// From file, command, environment or, if there is one, the terminal.
Secret repository_password(Context& context, const RepoOptions& options);
// As repository_password(); on a terminal it is asked twice and must not be empty.
Secret new_repository_password(Context& context, const RepoOptions& options);

// Throws no_repository, wrong_password and what the backend throws. A password typed in may be
// wrong twice. The index is not loaded.
std::unique_ptr<repository::Repository> open_repository(Context& context,
                                                        const RepoOptions& options);
// Nothing with --no-lock, which only commands that read may honour (mode shared, reads_only true).
std::unique_ptr<repository::Lock> lock_repository(Context& context,
                                                  const repository::Repository& repository,
                                                  const RepoOptions& options,
                                                  repository::LockMode mode, bool reads_only);

}  // namespace sevenfold::cli
