#include "cli/repo_options.h"

#include <cstdlib>

#include "cli/times.h"
#include "core/check.h"
#include "core/log.h"
#include "core/units.h"
#include "os/child_process.h"
#include "os/file.h"
#include "protect/passwords.h"
#include "storage/open.h"

namespace sevenfold::cli {
namespace {

// SEVENFOLD_<name>, else RESTIC_<name>; empty when neither is set.
std::string from_environment(const std::string& name) {
    for (const char* prefix : {"SEVENFOLD_", "RESTIC_"})
        if (const char* value = std::getenv((prefix + name).c_str());
            value != nullptr && *value != 0)
            return value;
    return {};
}

std::string trimmed(std::string_view text) {
    size_t from = text.find_first_not_of(" \t\r\n");
    if (from == text.npos) return {};
    return std::string(text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1));
}

uint64_t to_number(const std::string& key, const std::string& value) {
    auto number = parse_size(value);
    if (!number) throw Error(ErrorKind::usage, fmt::format("-o {}={}: not a number", key, value));
    return *number;
}

void apply_extended(const std::vector<std::string>& extended, storage::BackendOptions& options) {
    for (const std::string& item : extended) {
        size_t equals = item.find('=');
        std::string key = item.substr(0, equals);
        if (equals == item.npos)
            throw Error(ErrorKind::usage, fmt::format("-o {} has no value", item),
                        "Write -o key=value.");
        std::string value = item.substr(equals + 1);
        if (key == "sftp.command")
            options.sftp_command = value;
        else if (key == "sftp.args")
            options.ssh_args = os::split_command(value);
        else if (key == "ssh.args")
            options.ssh_args = os::split_command(value);
        else if (key == "ssh.program")
            options.ssh_program = value;
        else if (key == "rest.credentials")
            options.rest_credentials = value;
        else if (key == "sftp.connections" || key == "local.connections" ||
                 key == "s3.connections" || key == "rest.connections" || key == "ssh.connections")
            options.connections = static_cast<unsigned>(to_number(key, value));
        else if (key == "s3.region")
            options.s3.region = value;
        else if (key == "s3.bucket-lookup")
            options.s3.bucket_lookup = value;
        else if (key == "s3.storage-class")
            options.s3.storage_class = value;
        else if (key == "s3.lock")
            options.s3.lock = value;
        else if (key == "s3.credentials")
            options.s3.credentials = value;
        else
            throw Error(ErrorKind::usage, fmt::format("unknown extended option {}", key),
                        "Known: sftp.command, sftp.args, sftp.connections, local.connections, "
                        "s3.connections, rest.connections, ssh.connections, ssh.args, ssh.program, "
                        "rest.credentials, s3.region, s3.bucket-lookup, s3.storage-class, "
                        "s3.credentials, s3.lock.");
    }
    if (!options.sftp_command.empty() && !options.ssh_args.empty())
        throw Error(ErrorKind::usage, "sftp.command and sftp.args cannot be used together");
}

// The password from anywhere but the terminal.
std::optional<Secret> given_password(const RepoOptions& options) {
    protect::PasswordSource source{
        .file = options.password_file, .command = options.password_command, .what = "repository"};
    if (!source.file.empty() && !source.command.empty())
        throw Error(ErrorKind::usage,
                    "--password-file and --password-command cannot be used together");
    if (source.file.empty() && source.command.empty()) {
        source.file = from_environment("PASSWORD_FILE");
        if (source.file.empty()) source.command = from_environment("PASSWORD_COMMAND");
    }
    if (source.file.empty() && source.command.empty()) {
        std::string text = from_environment("PASSWORD");
        if (text.empty()) return std::nullopt;
        Secret secret(text);
        wipe(text.data(), text.size());
        return secret;
    }
    return protect::read_password(source);
}

}  // namespace

std::shared_ptr<RepoOptions> add_repo_options(CommandTree& group) {
    auto options = std::make_shared<RepoOptions>();
    group.shared_options()
        .option("-r,--repo", options->repository, "URL", "repository ($RESTIC_REPOSITORY)")
        .option("--repository-file", options->repository_file, "FILE",
                "file that holds the repository's URL ($RESTIC_REPOSITORY_FILE)")
        .option("-p,--password-file", options->password_file, "FILE",
                "file with the password, - for standard input ($RESTIC_PASSWORD_FILE)")
        .option("--password-command", options->password_command, "COMMAND",
                "command that prints the password ($RESTIC_PASSWORD_COMMAND)")
        .option("--key-hint", options->key_hint, "ID", "key to try first")
        .flag("--no-cache", options->no_cache, "do not use a local cache")
        .option("--cache-dir", options->cache_dir, "DIR", "folder of the local cache")
        .flag("--no-lock", options->no_lock, "do not lock the repository for reading")
        .option("--retry-lock", options->retry_lock, "DURATION",
                "wait this long for a lock of others, like 5m")
        .option("--limit-upload", options->limit_upload, "N", "KiB a second")
        .option("--limit-download", options->limit_download, "N", "KiB a second")
        .option("--cacert", options->ca_file, "FILE",
                "https: certificates to trust instead of the system's ($RESTIC_CACERT)")
        .option("--place-as-of", options->as_of, "TIME",
                "read the repository as it was then, whatever was deleted or overwritten since "
                "(S3 buckets with versions)")
        .option("-o,--option", options->extended, "KEY=VALUE",
                "sftp.command=…, sftp.args=…, ssh.args=…, ssh.program=…, rest.credentials=…, "
                "s3.region=…, s3.credentials=…, s3.storage-class=…, s3.lock=…, "
                "s3.bucket-lookup=auto|dns|path, sftp|ssh|rest|s3|local.connections=N");
    return options;
}

std::string cache_folder(const RepoOptions& options) {
    if (options.no_cache) return {};
    if (!options.cache_dir.empty()) return options.cache_dir;
    if (std::string dir = from_environment("CACHE_DIR"); !dir.empty()) return dir;
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache != nullptr && *cache == '/') return std::string(cache) + "/sevenfold";
    const char* home = std::getenv("HOME");
    return home != nullptr && *home == '/' ? std::string(home) + "/.cache/sevenfold" : "";
}

std::string repository_url(const RepoOptions& options) {
    if (!options.repository.empty() && !options.repository_file.empty())
        throw Error(ErrorKind::usage, "--repo and --repository-file cannot be used together");
    if (!options.repository.empty()) return options.repository;
    std::string file = options.repository_file;
    if (file.empty()) {
        if (std::string url = from_environment("REPOSITORY"); !url.empty()) return url;
        file = from_environment("REPOSITORY_FILE");
    }
    if (file.empty())
        throw Error(ErrorKind::usage, "no repository given",
                    "Name it with -r URL or in RESTIC_REPOSITORY.");
    std::string url = trimmed(as_text(os::read_file(file, 64 << 10)));
    if (url.empty())
        throw Error(ErrorKind::usage, fmt::format("repository file {} is empty", file));
    return url;
}

std::optional<Time> past_moment(const std::string& text) {
    if (text.empty()) return std::nullopt;
    if (auto time = parse_time(text)) return time;
    throw Error(ErrorKind::usage,
                fmt::format("--place-as-of \"{}\" is not a time", printable(text)),
                "Write it like '2026-11-20 12:00', or as RFC 3339.");
}

std::unique_ptr<storage::Backend> open_backend(Context& context, const RepoOptions& options) {
    storage::BackendOptions backend;
    backend.stop = context.stop();
    backend.upload_limit = options.limit_upload * 1024;
    backend.download_limit = options.limit_download * 1024;
    backend.ca_file = options.ca_file.empty() ? from_environment("CACERT") : options.ca_file;
    apply_extended(options.extended, backend);
    backend.as_of = past_moment(options.as_of);
    return storage::open_backend(storage::parse_location(repository_url(options)), backend);
}

Secret repository_password(Context& context, const RepoOptions& options) {
    if (auto secret = given_password(options)) return *secret;
    if (!context.terminal().can_ask())
        throw Error(ErrorKind::usage, "no password given",
                    "Use -p FILE, --password-command or RESTIC_PASSWORD_FILE.");
    return context.terminal().ask_password("password for the repository", context.stop());
}

Secret new_repository_password(Context& context, const RepoOptions& options) {
    if (auto secret = given_password(options)) {
        if (secret->empty()) throw Error(ErrorKind::usage, "an empty password protects nothing");
        return *secret;
    }
    Secret first = repository_password(context, options);
    if (first.empty()) throw Error(ErrorKind::usage, "an empty password protects nothing");
    Secret second = context.terminal().ask_password("the same again", context.stop());
    if (first.reveal() != second.reveal())
        throw Error(ErrorKind::usage, "the two passwords differ");
    return first;
}

std::unique_ptr<repository::Repository> open_repository(Context& context,
                                                        const RepoOptions& options) {
    repository::OpenOptions open;
    if (!options.key_hint.empty()) open.key_hint = Id::parse(options.key_hint);
    std::optional<Secret> given = given_password(options);
    for (int attempts_left = 2;; --attempts_left) {
        Secret password = given ? *given : repository_password(context, options);
        try {
            return repository::Repository::open(open_backend(context, options), password, open);
        } catch (const Error& error) {
            if (given || error.kind() != ErrorKind::wrong_password || attempts_left == 0) throw;
            context.terminal().note("wrong password, try again");
        }
    }
}

std::unique_ptr<repository::Lock> lock_repository(Context& context,
                                                  const repository::Repository& repository,
                                                  const RepoOptions& options,
                                                  repository::LockMode mode, bool reads_only) {
    CHECK(!reads_only || mode == repository::LockMode::shared);
    if (options.no_lock && reads_only) return nullptr;
    repository::LockOptions lock;
    lock.mode = mode;
    lock.stop = context.stop();
    if (!options.retry_lock.empty()) {
        auto wait = parse_duration(options.retry_lock);
        if (!wait)
            throw Error(ErrorKind::usage,
                        fmt::format("--retry-lock {} is not a duration", options.retry_lock),
                        "Write it like 30s or 5m.");
        lock.retry_for = std::chrono::duration_cast<std::chrono::milliseconds>(*wait);
    }
    return std::make_unique<repository::Lock>(repository, lock);
}

}  // namespace sevenfold::cli
