package web

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"redhen/appliance/space"
	"redhen/provision/ident"
	"redhen/provision/p2p"
	"redhen/provision/pair"
	"redhen/raftnode/directory"
)

// TestShow serves the pages with made-up people until it is ended, for looking at
// them: REDHEN_SHOW=127.0.0.1:8411 go test -run TestShow -timeout 0 ./appliance/web
// The second address serves a fresh box.
func TestShow(t *testing.T) {
	addr := os.Getenv("REDHEN_SHOW")
	if addr == "" {
		t.Skip("for people: set REDHEN_SHOW to an address")
	}
	fresh := newWorld(t)
	fresh.join = func(ctx context.Context, progress func(pair.Progress)) error {
		progress(pair.Progress{Stage: pair.Waiting, CircleName: "Riverside", Inviter: "Mabel", Words: someWords()})
		<-ctx.Done()
		return ctx.Err()
	}
	bad := lively(t)
	bad.admit(4, "Quay Cottage", "Quentin", "dora", "Dora")
	bad.away[boxKey(3).BoxID()] = true
	bad.links = []p2p.Link{{Box: boxKey(2).BoxID(), State: p2p.Direct}, {Box: boxKey(4).BoxID(), State: p2p.Relayed, Via: boxKey(2).BoxID()}}
	bad.diary(t)
	go func() { t.Error(http.ListenAndServe(addr+"2", bad.server)) }()
	go fresh.server.Run(t.Context())
	go func() { t.Error(http.ListenAndServe(addr+"1", fresh.server)) }()
	t.Error(http.ListenAndServe(addr, lively(t).server))
}

// diary adds what happened in a day.
func (w *world) diary(t testing.TB) {
	since := strconv.FormatInt(time.Now().Add(-2*time.Hour).UnixMilli(), 10)
	for _, e := range []directory.Entry{{What: "house-away", About: map[string]string{"house": "Hill Farm", "since": since}}} {
		if _, err := w.node.Command(t.Context(), directory.Command{Diary: &e}); err != nil {
			t.Fatal(err)
		}
	}
}

func someWords() []pair.Word {
	return []pair.Word{{Picture: "🐔", Text: "hen"}, {Picture: "🌷", Text: "tulip"}, {Picture: "🚲", Text: "bicycle"}, {Picture: "🍐", Text: "pear"}}
}

// lively is a circle of four houses with files; one house is reached through
// another, one is away.
func lively(t testing.TB) *world {
	w := newWorld(t)
	w.found()
	w.admit(2, "Oak Street", "Olive", "ben", "Ben Carter")
	w.admit(3, "Hill Farm", "Hilda", "cleo", "Cleo Dunn")
	w.desk.waiting = []pair.Pending{{Box: boxKey(9).BoxID(), Words: someWords(), Since: time.Now(),
		Application: pair.Application{BoxName: "Quentin", HouseName: "Quay Cottage", KeeperName: "dora"}}}
	w.links = []p2p.Link{{Box: boxKey(2).BoxID(), State: p2p.Direct}, {Box: boxKey(3).BoxID(), State: p2p.Direct}}
	fill(t, w)
	return w
}

// fill puts files into ada's space.
func fill(t testing.TB, w *world) {
	t.Helper()
	var id ident.AccountID
	accounts, err := w.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.Name == "ada" {
			id = a.ID
		}
	}
	fs, err := w.Space(t.Context(), id, "ada")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/Garden", "/Photos", "/Photos/Summer at the lake", "/Letters"} {
		if _, err := fs.Mkdir(t.Context(), dir, space.WriteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"/Apple cake.txt": "500 g apples\n200 g flour\n3 eggs from the red hens\n150 g butter\n\nPeel the apples …\n", "/Tax 2025.pdf": strings.Repeat("x", 81_000), "/hens.jpg": aPicture(),
		"/Lullaby.mp3": strings.Repeat("x", 3_100_000), "/First steps.mp4": strings.Repeat("x", 900_000), "/A letter to the grandchildren, with a rather long name, second draft (kept at Oak Street, 12 Nov).odt": strings.Repeat("x", 21_000),
	} {
		if _, err := fs.Put(t.Context(), name, strings.NewReader(text), space.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fs.Put(t.Context(), "/Apple cake.txt", strings.NewReader("600 g apples\n200 g flour\n4 eggs from the red hens\n150 g butter\n\nPeel the apples, slice them, and set them on the dough like roof tiles.\nBake for 45 minutes.\n"), space.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// picture is a small photo of a sunset.
func aPicture() string {
	img := image.NewRGBA(image.Rect(0, 0, 480, 320))
	for y := range 320 {
		for x := range 480 {
			img.Set(x, y, color.RGBA{uint8(240 - y/4), uint8(190 - y/2), uint8(110 + x/12), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.String()
}
