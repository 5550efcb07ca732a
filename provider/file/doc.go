// Package file is a target that writes the current credential into a file on
// this machine: as JSON, dotenv or a profile of an AWS credentials file. Files
// are replaced atomically, so that no reader ever sees half a credential, and
// their other content is kept. Notifying the file's readers is a reloader's
// job.
package file
