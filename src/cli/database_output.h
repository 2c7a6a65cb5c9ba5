// What commands on databases share: recording runs, and saying what was stored.
#pragma once

#include <memory>

#include "catalog/catalog.h"
#include "cli/context.h"
#include "protect/database.h"
#include "protect/database_prepare.h"

namespace sevenfold::cli {

struct BackupDatabaseArguments {
    std::string method;
    bool force_base = false, allow_privileged = false;
    std::chrono::milliseconds retry_lock{0};
};
// One database into its places: runs, prints, records. The exit code.
int run_database_backup(Context& context, const config::DatabaseConfig& database,
                        const BackupDatabaseArguments& arguments, catalog::Catalog* catalog);

// Prepares a physical base, shows how far it is, prints and records what came of it. The exit code.
int run_prepare(Context& context, const config::DatabaseConfig& database,
                const std::vector<protect::JobPlace>& places, protect::PrepareBaseOptions options,
                catalog::Catalog* catalog);

// Null, with a warning, when it cannot be opened: what a command does comes before its record.
std::unique_ptr<catalog::Catalog> open_catalog(const config::AppConfig& config);
// Nothing without a catalog; what fails is a warning.
void record_run(catalog::Catalog* catalog, const catalog::RunRecord& run);

}  // namespace sevenfold::cli
