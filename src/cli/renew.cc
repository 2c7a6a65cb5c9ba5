#include "cli/renew.h"

#include "core/units.h"
#include "protect/lock_renewal.h"
#include "protect/places.h"

namespace sevenfold::cli {
namespace {

void report(Context& context, const std::string& what, const protect::LockRenewal& renewal) {
    if (!renewal.done) return;
    context.terminal().note(fmt::format("{}: locks renewed, {} of {} files", what,
                                        format_count(renewal.renewed),
                                        format_count(renewal.needed)));
    context.terminal().json(JsonObject()
                                .set("type", "locks")
                                .set("place", what)
                                .set("needed", renewal.needed)
                                .set("renewed", renewal.renewed)
                                .set("tampered", renewal.tampered));
}

void renew(Context& context, const config::PlaceConfig& place) {
    const std::string& state = context.config().app.state_dir;
    protect::LockRenewalOptions options{.state_dir = state, .stop = context.stop()};
    auto unopened = protect::open_place_backend(place, protect::backend_options(place));
    if (!protect::lock_renewal_due(*unopened, storage::parse_retention_rule(place.lock), options))
        return;
    auto repository = protect::open_place(
        place, {.cache_dir = state + "/cache", .stop = context.stop(), .as_of = {}});
    report(context, place.name, protect::renew_locks(*repository, options));
}

}  // namespace

int renew_place_locks(Context& context, const std::vector<const config::PlaceConfig*>& places) {
    int code = 0;
    for (const config::PlaceConfig* place : places) {
        if (place->lock.empty()) continue;
        try {
            renew(context, *place);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) throw;
            std::string prefix = "place " + place->name;
            context.terminal().error(
                (error.message().starts_with(prefix) ? error : error.with_context(prefix))
                    .with_context("locks were not renewed"));
            if (code == 0) code = exit_code(error.kind());
        }
    }
    return code;
}

void renew_repository_locks(Context& context, const RepoOptions& options,
                            repository::Repository& repository) {
    protect::LockRenewalOptions renewal{.state_dir = cache_folder(options), .stop = context.stop()};
    try {
        report(context, "repository", protect::renew_locks(repository, renewal));
    } catch (const Error& error) {
        throw error.with_context("locks were not renewed");
    }
}

}  // namespace sevenfold::cli
