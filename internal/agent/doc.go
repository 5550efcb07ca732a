// Package agent brings secrets of a running Rota to programs that can't read them
// by themselves: as environment variables and files of a child process (rota exec),
// as files with a command that makes others read them (rota agent), and as the AWS
// credentials that every AWS SDK knows how to ask for. It reads with package
// client, fills templates in with [rota.FieldMap], and writes with the file target.
//
// How a child process is started, signaled and replaced is package supervise's.
package agent
