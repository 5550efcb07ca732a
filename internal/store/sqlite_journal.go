package store

import (
	"sync"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// smallStatementJournals has SQLite keep what it needs to undo a single
// statement in small pieces of memory. By default it asks for 64 KiB at a time,
// which the allocator maps and unmaps at every write: without that, the same two
// cores do 1.6 times as many rotations. The setting belongs to the whole process
// and must precede its first database; later on, SQLite ignores it.
var smallStatementJournals = sync.OnceFunc(func() {
	const small = -1 // about 1 KiB each
	tls := libc.NewTLS()
	defer tls.Close()
	args := libc.NewVaList(int32(small))
	defer libc.Xfree(tls, args)
	sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_STMTJRNL_SPILL, args)
})
