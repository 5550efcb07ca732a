// Package file is a target that writes the current credential into a file on
// this machine: as JSON, dotenv or a profile of an AWS credentials file. Files
// are replaced as a whole, so that no reader ever sees half a credential, and
// what else is in them is kept. Telling the file's readers is a reloader's
// affair.
package file
