// repo init: makes a new repository.
#include "cli/commands.h"
#include "cli/repo_options.h"
#include "core/log.h"

namespace sevenfold::cli {
namespace {

struct Options {
    int64_t version = 2;
    bool copy_chunker_params = false;
    std::string like;  // take over the chunker parameters of this repository
    std::string like_password_file, like_password_command;
};

int init(Context& context, const RepoOptions& repo, const Options& options) {
    repository::CreateOptions create;
    create.version = static_cast<int>(options.version);
    if (!options.like.empty()) {
        RepoOptions other;
        other.repository = options.like;
        other.password_file = options.like_password_file;
        other.password_command = options.like_password_command;
        if (other.password_file.empty() && other.password_command.empty()) {
            other.password_file = repo.password_file;
            other.password_command = repo.password_command;
        }
        create.chunker_polynomial = open_repository(context, other)->config().chunker_polynomial;
    }
    auto backend = open_backend(context, repo);
    if (backend->exists({storage::FileType::config, {}}))
        throw Error(ErrorKind::exists,
                    fmt::format("there is already a repository at {}", backend->location()),
                    "It was left as it is.");
    auto repository = repository::Repository::create(
        std::move(backend), new_repository_password(context, repo), create);
    Terminal& terminal = context.terminal();
    terminal.print(fmt::format("created repository {} at {}",
                               repository->config().id.hex().substr(0, 10),
                               printable(repository->location())));
    terminal.note("The password is the only way to the data. Keep a copy of it elsewhere.");
    terminal.json(JsonObject()
                      .set("message_type", "initialized")
                      .set("id", repository->config().id.hex())
                      .set("repository", repository->location()));
    return 0;
}

}  // namespace

void add_repo_init(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    repo.command("init", "Create a new repository.",
                 "sevenfold repo -r /srv/backup init\n"
                 "sevenfold repo -r sftp:vault:/srv/b -p pw init --from-repo /srv/a")
        .option("--repository-version", options->version, "N",
                "format version, 1 or 2 (default: 2)")
        .option("--from-repo", options->like, "URL",
                "cut files as this repository does, so that data can be copied between the two")
        .option("--from-password-file", options->like_password_file, "FILE",
                "its password (default: the new repository's)")
        .option("--from-password-command", options->like_password_command, "COMMAND",
                "command that prints its password")
        .flag("--copy-chunker-params", options->copy_chunker_params,
              "accepted for restic's sake; --from-repo implies it")
        .run([shared, options](Context& context) { return init(context, *shared, *options); });
}

}  // namespace sevenfold::cli
