#include "cli/version.h"

#include <openssl/crypto.h>
#include <sqlite3.h>
#include <zstd.h>

#include "crypto/sha256.h"
#include "repository/chunker.h"

namespace sevenfold::cli {

int show_version(Context& context) {
    const std::string line = "sevenfold " SEVENFOLD_VERSION;
    const std::string chunker =
        repository::best_chunker_path() == repository::ChunkerPath::avx2 ? "avx2" : "scalar";
    const std::string sha256(crypto::sha256_implementation());
    Terminal& terminal = context.terminal();
    terminal.print(line);
    if (context.global().terminal.verbosity > 0) {
        terminal.print(fmt::format("sha256 {}, chunker {}", sha256, chunker));
        terminal.print(fmt::format("{}, zstd {}, sqlite {}, compiler " __VERSION__,
                                   OpenSSL_version(OPENSSL_VERSION), ZSTD_versionString(),
                                   sqlite3_libversion()));
        terminal.print("repository format: restic 2 (1 can be read)");
    }
    terminal.json(JsonObject()
                      .set("type", "version")
                      .set("version", SEVENFOLD_VERSION)
                      .set("sha256", sha256)
                      .set("chunker", chunker)
                      .set("openssl", OpenSSL_version(OPENSSL_VERSION))
                      .set("zstd", ZSTD_versionString())
                      .set("sqlite", sqlite3_libversion()));
    return 0;
}

}  // namespace sevenfold::cli
