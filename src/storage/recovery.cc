#include "storage/recovery.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/parallel.h"

namespace sevenfold::storage {
namespace {

Versions& versions_of(Backend& backend) {
    if (Versions* versions = backend.versions()) return *versions;
    throw Error(ErrorKind::config,
                fmt::format("{}: only places in S3 buckets keep versions", backend.location()));
}

// `versions` are those of one file, the newest first.
void add_file(std::vector<FileVersion> versions, const Time& as_of, RecoveryPlan& plan) {
    auto good = std::ranges::find_if(
        versions, [&](const FileVersion& version) { return version.stored <= as_of; });
    if (good == versions.end() || good->deletion) {
        if (!versions[0].deletion) ++plan.newer;
        return;
    }
    RecoveryStep step{.good = *good, .marks = {versions.begin(), good}};
    bool same = !good->digest.empty() && !versions[0].deletion &&
                versions[0].digest == good->digest && versions[0].size == good->size;
    if (step.marks.empty() || same) {
        ++plan.untouched;
        return;
    }
    plan.bytes += good->size;
    if (std::ranges::all_of(step.marks, [](const FileVersion& v) { return v.deletion; })) {
        ++plan.deleted;
    } else {
        ++plan.overwritten;
        plan.copied_bytes += good->size;
        step.marks.clear();
    }
    plan.steps.push_back(std::move(step));
}

}  // namespace

RecoveryPlan plan_recovery(Backend& backend, const Time& as_of) {
    Versions& versions = versions_of(backend);
    RecoveryPlan plan;
    for (FileType type :
         {FileType::pack, FileType::index, FileType::key, FileType::config, FileType::snapshot})
        list_by_file(versions, type,
                     [&](std::vector<FileVersion> one) { add_file(std::move(one), as_of, plan); });
    return plan;
}

void recover(Backend& backend, const RecoveryPlan& plan, const std::function<void()>& each,
             std::stop_token stop) {
    Versions& versions = versions_of(backend);
    parallel_for(plan.steps.size(), backend.capabilities().connections, [&](size_t i) {
        if (stop.stop_requested()) throw Error(ErrorKind::interrupted, "interrupted");
        const RecoveryStep& step = plan.steps[i];
        for (const FileVersion& mark : step.marks) {
            try {
                versions.remove_version(mark);
            } catch (const Error& error) {
                if (error.kind() != ErrorKind::permission) throw;
                throw error.with_hint(
                    "Use the keys of the bucket's owner: this needs s3:DeleteObjectVersion.");
            }
        }
        if (step.marks.empty()) versions.bring_back(step.good);
        each();
    });
}

}  // namespace sevenfold::storage
