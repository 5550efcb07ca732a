// Package function is Rota as a Lambda function: it recognises by the event what
// is asked, carries it out with the heart, and answers errors so that Lambda's
// alarms and retries work. It keeps nothing between invocations: what it must
// remember is in the secret's labels and tags. It decides nothing about when.
package function
