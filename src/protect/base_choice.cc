#include "protect/base_choice.h"

#include <tuple>

#include "core/log.h"
#include "files/restore.h"

namespace sevenfold::protect {
namespace {

// Prepared bases are better than equally new ones.
auto rank(const StoredBase& base) {
    return std::tuple(base.manifest.consistent_at, base.manifest.prepared);
}

void copy_files(const repository::Repository& repository, const StoredBase& base,
                const std::string& folder, Progress* progress, std::stop_token stop) {
    files::RestoreOptions restore;
    restore.target = folder;
    restore.tree = repository::find_subtree(repository, base.snapshot.tree, "data");
    restore.progress = progress;
    restore.stop = stop;
    files::RestoreResult done = files::restore(repository, restore);
    if (!done.complete()) throw done.problems.at(0).error.with_context(done.problems[0].path);
}

}  // namespace

uint64_t BaseChoice::bytes() const { return base.bytes() + (whole ? whole->bytes() : 0); }

std::optional<BaseChoice> choose_base(const std::string& database,
                                      const std::vector<JobPlace>& places, const std::string& place,
                                      const std::function<bool(const StoredBase&)>& serves) {
    std::optional<BaseChoice> best;
    std::optional<Error> problem;
    for (const JobPlace& candidate : places) {
        if (!place.empty() && candidate.name != place) continue;
        try {
            if (candidate.error) throw *candidate.error;
            std::vector<Error> damaged;
            DatabaseSnapshots snapshots = list_database(*candidate.repository, database, &damaged);
            auto bases = read_bases(*candidate.repository, snapshots, &damaged);
            for (const StoredBase& base : bases) {
                if (!serves(base) || (best && rank(best->base) >= rank(base))) continue;
                const StoredBase* found = find_whole(bases, base);
                std::optional<StoredBase> whole;
                if (found) whole = *found;
                best =
                    BaseChoice{candidate.name, candidate.repository, base, whole, snapshots.logs};
            }
            for (const Error& error : damaged)
                log_warning("place {}: {}", candidate.name, error.message());
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::interrupted) throw;
            log_warning("place {}: {}", candidate.name, error.message());
            problem = error;
        }
    }
    if (!best && problem) throw *problem;
    return best;
}

std::vector<std::string> copy_base_files(const BaseChoice& choice, const std::string& folder,
                                         Progress* progress, std::stop_token stop) {
    std::vector<std::string> increments;
    copy_files(*choice.repository, choice.whole ? *choice.whole : choice.base, folder, progress,
               stop);
    if (choice.whole) {
        increments.push_back(folder + ".increment");
        if (!files::target_is_empty_or_absent(increments[0]))
            throw Error(ErrorKind::refused, increments[0] + " is in the way");
        copy_files(*choice.repository, choice.base, increments[0], progress, stop);
    }
    return increments;
}

}  // namespace sevenfold::protect
