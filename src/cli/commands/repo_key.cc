// repo key: the passwords that open the repository.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "cli/snapshot_options.h"
#include "cli/table.h"
#include "core/log.h"
#include "repository/key.h"

namespace sevenfold::cli {
namespace {

using repository::LockMode;

struct Options {
    std::string user, host, new_password_file, id;
};

int list(Context& context, const RepoOptions& repo) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, LockMode::shared, true);
    std::vector<Error> damaged;
    Table table({{" ID"}, {"User"}, {"Host"}, {"Created"}});
    for (const repository::KeyInfo& key : repository::list_keys(repository->backend(), damaged)) {
        bool current = key.id == repository->key_id();
        std::string created = to_display(in_local_zone(key.created));
        table.row(
            {(current ? "*" : " ") + key.id.short_hex(), key.username, key.hostname, created});
        context.terminal().json(JsonObject()
                                    .set("current", current)
                                    .set("id", key.id.hex())
                                    .set("short_id", key.id.short_hex())
                                    .set("userName", key.username)
                                    .set("hostName", key.hostname)
                                    .set("created", key.created));
    }
    table.print(context.terminal());
    for (const Error& error : damaged) context.terminal().error(error);
    return damaged.empty() ? 0 : exit_code(damaged.front().kind());
}

// Never from the environment: there lies the password that is to be replaced.
Secret new_password(Context& context, const Options& options) {
    if (!options.new_password_file.empty()) {
        RepoOptions source;
        source.password_file = options.new_password_file;
        return new_repository_password(context, source);
    }
    Terminal& terminal = context.terminal();
    if (!terminal.can_ask())
        throw Error(ErrorKind::usage, "no new password given", "Use --new-password-file FILE.");
    Secret first = terminal.ask_password("new password", context.stop());
    if (first.empty()) throw Error(ErrorKind::usage, "an empty password protects nothing");
    if (terminal.ask_password("the same again", context.stop()).reveal() != first.reveal())
        throw Error(ErrorKind::usage, "the two passwords differ");
    return first;
}

// Stores the key and proves that it opens the repository.
Id add_proven_key(Context& context, const repository::Repository& repository,
                  const Options& options) {
    Secret password = new_password(context, options);
    storage::Backend& backend = repository.backend();
    Id id = repository::add_key(backend, repository.master_key(), password,
                                {.username = options.user, .hostname = options.host});
    if (!(repository::open_key(backend, password, id, 1).master == repository.master_key()))
        throw Error(ErrorKind::internal, "the new key does not open the repository");
    return id;
}

void report(Context& context, std::string_view what, const Id& id) {
    context.terminal().print(fmt::format("{} key {}", what, id.hex()));
    context.terminal().json(
        JsonObject().set("message_type", fmt::format("key_{}", what)).set("id", id.hex()));
}

int add(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, LockMode::shared, false);
    report(context, "added", add_proven_key(context, *repository, options));
    return 0;
}

int passwd(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, LockMode::exclusive, false);
    Id fresh = add_proven_key(context, *repository, options);
    repository::remove_key(repository->backend(), repository->key_id(), fresh);
    report(context, "removed", repository->key_id());
    report(context, "added", fresh);
    return 0;
}

int remove(Context& context, const RepoOptions& repo, const Options& options) {
    auto repository = open_repository(context, repo);
    auto lock = lock_repository(context, *repository, repo, LockMode::exclusive, false);
    Id id = find_file(*repository, storage::FileType::key, options.id);
    repository::remove_key(repository->backend(), id, repository->key_id());
    report(context, "removed", id);
    context.terminal().note(
        "Whoever had that password and a copy of its key file can still read the repository.");
    return 0;
}

void add_new_key_options(Command& command, Options& options) {
    command
        .option("--new-password-file", options.new_password_file, "FILE",
                "file with the new password (default: asked for)")
        .option("--user", options.user, "NAME", "user name to note with the key")
        .option("--host", options.host, "NAME", "host name to note with the key");
}

}  // namespace

void add_repo_key(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    CommandTree key = repo.group("key", "Manage the passwords that open the repository.",
                                 "sevenfold repo key list\n"
                                 "sevenfold repo key add --new-password-file new\n"
                                 "sevenfold repo key remove 1a2b3c4d");
    auto options = std::make_shared<Options>();
    key.command("list", "List the keys; * marks the one in use.", "sevenfold repo key list")
        .run([shared](Context& context) { return list(context, *shared); });
    Command add_command = key.command("add", "Add a password.",
                                      "sevenfold repo key add --new-password-file new --user ops");
    add_new_key_options(add_command, *options);
    add_command.run(
        [shared, options](Context& context) { return add(context, *shared, *options); });
    Command passwd_command =
        key.command("passwd", "Replace the password that is in use.",
                    "sevenfold repo -p old key passwd --new-password-file new");
    add_new_key_options(passwd_command, *options);
    passwd_command.run(
        [shared, options](Context& context) { return passwd(context, *shared, *options); });
    key.command("remove", "Remove a password.", "sevenfold repo key remove 1a2b3c4d")
        .argument("ID", options->id, "id of the key, or the beginning of it")
        .run([shared, options](Context& context) { return remove(context, *shared, *options); });
}

}  // namespace sevenfold::cli
