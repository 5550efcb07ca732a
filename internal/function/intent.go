package function

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// intentTag is the tag of a secret that keeps what must survive a crash between
// the making of an access key and its storing: rota.Intent as
// "version:at:until:known+known", several of them joined by @. The times are
// Unix seconds.
const intentTag = "rota:intent"

// maxTagValue is how many characters a tag's value has at most.
const maxTagValue = 256

var taggableID = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)

// encodeIntents writes intents so that a tag takes them.
func encodeIntents(intents []rotation.Intent) (string, error) {
	texts := make([]string, len(intents))
	for i, in := range intents {
		for _, id := range append(slices.Clone(in.Known), in.Version) {
			if !taggableID.MatchString(id) {
				return "", fmt.Errorf("an intent with the id %q can't be kept in a tag", id)
			}
		}
		texts[i] = fmt.Sprintf("%s:%d:%d:%s", in.Version, in.At.Unix(), in.Until.Add(time.Second-1).Unix(), strings.Join(in.Known, "+"))
	}
	text := strings.Join(texts, "@")
	if len(text) > maxTagValue {
		return "", &rota.Error{Op: "keep what is about to be done in the tag " + intentTag, Class: rota.ClassStop,
			Err:  fmt.Errorf("%d calls whose answers were lost are more than it takes", len(intents)-1),
			Hint: "look at the user's access keys, delete those that nobody uses, and remove the tag"}
	}
	return text, nil
}

// decodeIntents is the way back.
func decodeIntents(text string) ([]rotation.Intent, error) {
	if text == "" {
		return nil, nil
	}
	var intents []rotation.Intent
	for _, part := range strings.Split(text, "@") {
		fields := strings.Split(part, ":")
		if len(fields) != 4 {
			return nil, fmt.Errorf("the tag %s is not as Rota writes it (try: look at the user's access keys, and remove the tag)", intentTag)
		}
		at, errAt := strconv.ParseInt(fields[1], 10, 64)
		until, errUntil := strconv.ParseInt(fields[2], 10, 64)
		if errAt != nil || errUntil != nil {
			return nil, fmt.Errorf("the tag %s is not as Rota writes it (try: look at the user's access keys, and remove the tag)", intentTag)
		}
		in := rotation.Intent{Version: fields[0], At: time.Unix(at, 0).UTC(), Until: time.Unix(until, 0).UTC()}
		if fields[3] != "" {
			in.Known = strings.Split(fields[3], "+")
		}
		intents = append(intents, in)
	}
	return intents, nil
}
