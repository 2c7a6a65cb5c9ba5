// What a backup shows: progress, problems as they come, and the summary.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "cli/context.h"
#include "cli/progress_display.h"
#include "protect/backup.h"

namespace sevenfold::cli {

class BackupOutput {
  public:
    // `source` is the source's name in the configuration; empty for `repo backup`.
    BackupOutput(Context& context, std::string source);

    // Sets progress, stop and on_issue; the options must not outlive this object.
    void attach(files::ArchiveOptions& options);
    // Ends the display, prints the summary and returns the exit code.
    int finish(const protect::BackupResult& result, bool dry_run);

  private:
    void issue(const files::ItemIssue& issue);
    void print_place(const files::PlaceResult& place, bool dry_run, bool only_one);
    void print_json(const protect::BackupResult& result, bool dry_run);

    Context& context_;
    std::string source_;
    Progress progress_;
    std::unique_ptr<ProgressDisplay> display_;
    std::chrono::steady_clock::time_point start_;
    std::jthread estimate_;  // last: it uses the progress; its end is asked for by the destructor
};

}  // namespace sevenfold::cli
