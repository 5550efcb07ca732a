package store

import "testing"

func TestPositionalKeepsWhatEachParameterMeans(t *testing.T) {
	for query, want := range map[string]string{
		"INSERT INTO a VALUES ($1, $2), ($3, $4)": "INSERT INTO a VALUES (?, ?), (?, ?)",
		"COMMIT": "COMMIT",
		"SELECT entry ->> '$.secret' WHERE a = $1": "SELECT entry ->> '$.secret' WHERE a = ?",
		"UPDATE a SET b = $2 WHERE c = $1":         "UPDATE a SET b = $2 WHERE c = $1",
		"INSERT INTO a VALUES ($1, $2, $2)":        "INSERT INTO a VALUES ($1, $2, $2)",
		"SELECT a WHERE b = $1 AND c = $3":         "SELECT a WHERE b = $1 AND c = $3",
	} {
		if got := positional(query); got != want {
			t.Errorf("%s became %s, want %s", query, got, want)
		}
	}
}
