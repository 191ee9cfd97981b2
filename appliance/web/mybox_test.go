package web

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTheLineOfAHouse: how much of it the box may use, and when, is noted as the keeper
// says it, and shown again.
func TestTheLineOfAHouse(t *testing.T) {
	w, b := two(t)
	body, _ := b.post("/box", "hold", "ben", "upload", "2,5", "from", "22:30", "until", "06:00")
	has(t, body, `value="2.5"`, `value="22:30"`, `value="06:00"`)
	wishes, err := w.BoxWishes()
	if err != nil {
		t.Fatal(err)
	}
	at := func(hour int) int64 { return wishes.Upload(time.Date(2026, 11, 25, hour, 0, 0, 0, time.UTC)) }
	if at(23) != 312_000 || at(5) != 312_000 || at(6) != 0 || at(12) != 0 {
		t.Errorf("%+v: %d at 23:00, %d at 5:00, %d at 6:00, %d at noon", wishes, at(23), at(5), at(6), at(12))
	}
	for _, bad := range [][2]string{{"upload", "0.01"}, {"upload", "much"}, {"upload", "NaN"}, {"from", "25:00"}, {"until", "6"}} {
		if _, code := b.post("/box", "hold", "ben", bad[0], bad[1]); code != http.StatusUnprocessableEntity {
			t.Errorf("%v is taken", bad)
		}
	}
	if again, err := w.BoxWishes(); err != nil || again.UploadKBps != wishes.UploadKBps {
		t.Errorf("a mistake changed it: %+v, %v", again, err)
	}
	body, _ = b.post("/box", "hold", "ben", "upload", "")
	if wishes, _ = w.BoxWishes(); wishes.Upload(time.Now()) != 0 || wishes.LimitFrom != 0 || strings.Contains(body, `value="2.5"`) {
		t.Errorf("the limit stays: %+v", wishes)
	}
}
