// repo recover-versions: a bucket as it was before somebody deleted or overwrote what is in it.
#include <atomic>

#include "cli/commands.h"
#include "cli/repo_options.h"
#include "core/log.h"
#include "core/units.h"
#include "storage/recovery.h"

namespace sevenfold::cli {
namespace {

struct Options {
    bool dry_run = false, yes = false;
};

JsonObject plan_json(const storage::RecoveryPlan& plan) {
    return JsonObject()
        .set("deleted", plan.deleted)
        .set("overwritten", plan.overwritten)
        .set("bytes", plan.bytes)
        .set("copied_bytes", plan.copied_bytes)
        .set("untouched", plan.untouched)
        .set("newer", plan.newer);
}

void print_plan(Terminal& terminal, const storage::RecoveryPlan& plan, const Time& as_of) {
    terminal.print(fmt::format("as it was at {}:", to_display(in_local_zone(as_of))));
    terminal.print(fmt::format("  {} deleted files come back (their delete markers are removed)",
                               format_count(plan.deleted)));
    terminal.print(fmt::format("  {} overwritten files come back (stored again, {})",
                               format_count(plan.overwritten), format_size(plan.copied_bytes)));
    terminal.print(fmt::format("  {} files are as they were", format_count(plan.untouched)));
    if (plan.newer != 0)
        terminal.print(fmt::format("  {} files came since, and stay", format_count(plan.newer)));
}

int recover_versions(Context& context, const RepoOptions& repo, const Options& options) {
    auto as_of = past_moment(repo.as_of);
    if (!as_of)
        throw Error(ErrorKind::usage, "no moment given",
                    "Say with --place-as-of TIME which state is to come back.");
    RepoOptions present = repo;  // it is the present that changes
    present.as_of.clear();
    auto backend = open_backend(context, present);
    storage::RecoveryPlan plan = storage::plan_recovery(*backend, *as_of);
    Terminal& terminal = context.terminal();
    print_plan(terminal, plan, *as_of);
    bool nothing = plan.steps.empty();
    if (nothing && plan.untouched == 0)
        throw Error(ErrorKind::no_repository,
                    fmt::format("{}: there was nothing at that time", backend->location()),
                    "Try a later moment.");
    bool apply = !nothing && !options.dry_run;
    if (apply && !options.yes) {
        if (!terminal.can_ask())
            throw Error(ErrorKind::usage, "nobody can be asked whether to go on",
                        "Use --yes, or --dry-run to see the plan only.");
        apply = terminal.confirm("bring them back?", false, context.stop());
    }
    std::atomic<uint64_t> done{0};
    if (apply) {
        storage::recover(
            *backend, plan,
            [&] { terminal.status(fmt::format("{} of {} files", ++done, plan.steps.size())); },
            context.stop());
        terminal.status("");
        terminal.print(fmt::format("brought back {} files", format_count(done)));
        terminal.note("`sevenfold repo check --read-data` shows whether all is well.");
    }
    terminal.json(plan_json(plan)
                      .set("message_type", "summary")
                      .set("dry_run", options.dry_run)
                      .set("recovered", done.load()));
    return 0;
}

}  // namespace

void add_repo_recover_versions(CommandTree& repo, std::shared_ptr<RepoOptions> shared) {
    auto options = std::make_shared<Options>();
    repo.command("recover-versions",
                 "Undo what was deleted or overwritten in an S3 bucket with versions.",
                 "sevenfold repo -r s3:https://host/bucket --place-as-of '2026-11-20 12:00' "
                 "recover-versions --dry-run\n"
                 "sevenfold repo -r s3:https://host/bucket --place-as-of '2026-11-20 12:00' "
                 "recover-versions")
        .flag("-n,--dry-run", options->dry_run, "change nothing, show what would come back")
        .flag("-y,--yes", options->yes, "ask nothing")
        .run([shared, options](Context& context) {
            return recover_versions(context, *shared, *options);
        });
}

}  // namespace sevenfold::cli
