#include "files/restore.h"

#include "core/parallel.h"
#include "core/queue.h"
#include "files/internal/restore_planner.h"
#include "files/internal/restore_writer.h"
#include "os/beneath.h"

namespace sevenfold::files {

using internal::Batch;

RestoreResult restore(const repository::Repository& repository, const RestoreOptions& options) {
    const bool is_new = os::is_absent_or_empty(options.target);
    internal::RestoreReport report(options);
    internal::Target target(options, report);
    // One batch waits while one is planned and one is written: see the memory bound in restore.h.
    BoundedQueue<std::unique_ptr<Batch>> queue(1);
    internal::Planner planner(repository, options, target, report,
                              [&](std::unique_ptr<Batch> b) { return queue.push(std::move(b)); });
    internal::RestoreWriter writer(repository, options, target, report);
    // Declared before the threads, so that folders a batch points to outlive them.
    std::unique_ptr<Batch> current;
    {
        ThreadGroup planning;
        planning.on_failure([&] { queue.abandon(); });
        planning.start([&](std::stop_token) {
            planner.run();
            queue.close();
        });
        while (auto batch = queue.pop()) {
            current = std::move(*batch);
            try {
                writer.run(*current);
            } catch (...) {
                queue.abandon();
                throw;
            }
        }
        planning.wait();
    }
    // A folder that was there with other things in it stays what it is, unless all of it is to be
    // as in the snapshot: it may be /tmp.
    bool whole = options.select.takes_all() && (options.overwrite == Overwrite::always ||
                                                options.overwrite == Overwrite::if_changed);
    if (options.folder && (is_new || whole)) target.finish_root(*options.folder);
    return report.result();
}

bool target_is_empty_or_absent(const std::string& path) { return os::is_absent_or_empty(path); }

}  // namespace sevenfold::files
