// Package mongodbtest is a stand-in for MongoDB: a server that speaks enough of its
// wire protocol for the official driver to log in by SCRAM, and for users and roles to
// be administered. It's written from MongoDB's documentation and has no data.
//
// It's for what the server that provider/mongodb is also tested on, FerretDB, doesn't
// have: roles and who may do what, customData, authenticationRestrictions (which a
// server checks at each login, and again for open connections), $currentOp and write
// concerns.
package mongodbtest
