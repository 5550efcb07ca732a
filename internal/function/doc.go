// Package function is Rota as a Lambda function: it recognizes by the event
// what is requested, carries it out with package rotation, and returns errors
// so that Lambda's alarms and retries work. It keeps no state between
// invocations; whatever must persist is in the secret's labels and tags. It
// doesn't decide when something is due.
package function
