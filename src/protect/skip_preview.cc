#include "protect/skip_preview.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sevenfold::protect {
namespace {

using Until = database::ReplayRequest::Until;

// Whether the replay comes to this transaction at all.
bool is_replayed(const database::Driver& driver, const database::LoggedTransaction& transaction,
                 const Until& until) {
    switch (until.kind) {
        case Until::Kind::end:
            return true;
        case Until::Kind::time:
            return transaction.time <= until.time;
        case Until::Kind::after:
            return driver.reaches(until.transaction, transaction.id);
        case Until::Kind::before:
            return transaction.id != until.transaction &&
                   driver.reaches(until.transaction, transaction.id);
    }
    return true;
}

}  // namespace

SkipPreview preview_skip(database::Timeline& timeline, const database::Driver& driver,
                         const database::ServerLogin& server, std::vector<std::string> skip,
                         const Until& until, bool with_dependents) {
    SkipPreview out;
    std::set<std::string> left_out(skip.begin(), skip.end());
    std::set<std::string> known;
    for (size_t i = 0; i < skip.size(); ++i) {  // grows
        database::ConflictPreview preview;
        try {
            preview = timeline.conflicts(skip[i], server);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::unsupported) throw;
            out.unknown.push_back(error.message());
            out.skipped.push_back({skip[i], {}});
            continue;
        }
        if (preview.conflicts.size() < preview.conflicting)
            throw Error(ErrorKind::refused,
                        fmt::format("{} transactions build on {}: too many to look at",
                                    preview.conflicting, skip[i]),
                        "Restore to just before it instead: --before.");
        for (const database::LaterConflict& later : preview.conflicts) {
            if (!is_replayed(driver, later.transaction, until)) continue;
            if (with_dependents) {
                if (left_out.insert(later.transaction.id).second)
                    skip.push_back(later.transaction.id);
            } else if (!left_out.contains(later.transaction.id) &&
                       known.insert(later.transaction.id).second) {
                out.dependents.push_back(later);
            }
        }
        out.skipped.push_back({skip[i], std::move(preview)});
    }
    std::ranges::stable_sort(out.dependents, {}, [](const database::LaterConflict& later) {
        return later.transaction.time;
    });
    return out;
}

}  // namespace sevenfold::protect
