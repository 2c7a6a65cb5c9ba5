// Keeps the second spool small: what every place's repository has is not needed there.
#pragma once

#include <string>

#include "crypto/cipher.h"
#include "database/mariadb/stream/seal.h"
#include "database/mariadb/stream/sealed_spool.h"

namespace sevenfold::database::mariadb {

// Removes the parts of the files that every place has stored in full; how many. The two newest
// files of the local spool (`spool`, its folder) stay: copying goes on in them. A file that the
// local spool does not have any more is read in the second one to learn how long it is.
size_t trim_second_spool(PartStore& store, const crypto::CipherKey& key, const std::string& spool,
                         const Sealer& sealer);

}  // namespace sevenfold::database::mariadb
