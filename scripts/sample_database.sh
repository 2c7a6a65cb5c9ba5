# shellcheck shell=bash
# Sourced by ./quickstart: a sample application's database, on a server of its own without network,
# below $work/database. It stops with the script that started it.

database_dir=$work/database
database_socket=$database_dir/socket
server_pid='' stream_pid=''

sql() { mariadb --no-defaults --user=root --socket="$database_socket" --batch --skip-column-names -e "$1"; }

start_database() {
    local user=()
    [ "$(id -u)" != 0 ] || user=(--user=root)
    rm -rf "$database_dir" && mkdir -p "$database_dir" || return
    mariadb-install-db --no-defaults --skip-test-db --auth-root-authentication-method=normal \
        --datadir="$database_dir/data" "${user[@]}" >"$database_dir/install.log" 2>&1 || return
    PATH=$PATH:/usr/sbin mariadbd --no-defaults --datadir="$database_dir/data" "${user[@]}" --skip-networking \
        --socket="$database_socket" --pid-file="$database_dir/pid" --log-error="$database_dir/log" \
        --log-bin=bin --binlog-format=ROW --binlog-row-metadata=FULL --sync-binlog=1 --server-id=1 &
    server_pid=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        sql 'SELECT 1' >/dev/null 2>&1 && break
        sleep 0.1
    done
    sql "CREATE DATABASE shop; USE shop;
        CREATE TABLE customer (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60));
        CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT NOT NULL, price DECIMAL(10,2),
            FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE);
        INSERT INTO customer (id, name) SELECT seq, CONCAT('customer ', seq) FROM seq_1_to_2000;
        INSERT INTO orders (customer, price) SELECT 1 + seq % 2000, seq / 7 FROM seq_1_to_10000;" &&
        echo "a shop with $(sql 'SELECT COUNT(*) FROM shop.customer') customers and $(sql 'SELECT COUNT(*) FROM shop.orders') orders"
}

stop_database() {
    [ -z "$stream_pid" ] || { kill "$stream_pid" 2>/dev/null; wait "$stream_pid" 2>/dev/null; }
    [ -z "$server_pid" ] || { kill "$server_pid" 2>/dev/null; wait "$server_pid" 2>/dev/null; }
    stream_pid='' server_pid=''
}

# The accounts that the program prints, without passwords: they are only for this server.
configure_database() {
    grep -q '^\[\[database\]\]' "$work/sevenfold.toml" || cat >>"$work/sevenfold.toml" <<END

[[database]]
name = "shop"
socket = "$database_socket"
user = "sevenfold_dump"
stream = true
stream_user = "sevenfold_stream"
stream_second = "offsite"
method = "logical"
seal = "2s"
END
    "$binary" -c "$work/sevenfold.toml" db grants --feature dump --feature stream |
        sed "s/ IDENTIFIED BY 'CHANGE-ME'//" | tee "$database_dir/grants.sql" &&
        sql "$(cat "$database_dir/grants.sql")"
}

start_stream() {
    rm -rf "$work/state/stream/shop" "$work/vendor-two/repository-spool/shop"
    "$binary" -c "$work/sevenfold.toml" stream run >"$database_dir/stream.log" 2>&1 &
    stream_pid=$!
    sql "SET GLOBAL rpl_semi_sync_master_enabled=1, rpl_semi_sync_master_wait_point=AFTER_SYNC"
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        case $(sql "SHOW STATUS LIKE 'Rpl_semi_sync_master_clients'") in *1) break ;; esac
        sleep 0.1
    done
    sql "INSERT INTO shop.customer (name) VALUES ('the first that is in two places when the commit returns')"
    sleep 2
    sevenfold stream status
}

mistake() {
    state_before=$(sql 'CHECKSUM TABLE shop.customer, shop.orders')
    bad=$(sql "DELETE FROM shop.customer WHERE id <= 1500; SELECT @@last_gtid")
    sql "INSERT INTO shop.orders (customer, price) VALUES (1501, 42)"
    echo "DELETE FROM shop.customer WHERE id <= 1500   -- $bad; its orders went with the customers"
    echo "left: $(sql 'SELECT COUNT(*) FROM shop.customer') customers, $(sql 'SELECT COUNT(*) FROM shop.orders') orders"
    sevenfold backup shop # a point: all places have everything up to here
}

restore_before() {
    rm -rf "$work/database-restored"
    sevenfold db restore shop --before "$bad" --as shop=shop_before --server "$database_socket" --server-user root &&
        [ "$(sql 'CHECKSUM TABLE shop_before.customer, shop_before.orders' | cut -f2)" = "$(cut -f2 <<<"$state_before")" ] &&
        echo "the tables are as they were, by CHECKSUM TABLE"
}

undo_mistake() {
    sevenfold db undo "$bad" --database shop --apply --user root &&
        echo "now: $(sql 'SELECT COUNT(*) FROM shop.customer') customers, $(sql 'SELECT COUNT(*) FROM shop.orders') orders"
}
