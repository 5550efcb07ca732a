// Package function rotates what an existing rotation function of AWS Secrets Manager
// knows how to rotate. Rota calls the function for createSecret, setSecret and
// testSecret, and stands in for Secrets Manager meanwhile: the function finds the
// credential in use under AWSCURRENT, puts the new one under AWSPENDING, and needs
// no change. finishSecret is never called: promoting is Rota's.
package function
