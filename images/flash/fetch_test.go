package flash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"redhen/images/card"
	"redhen/images/layout"
)

func TestImageFromAnAddress(t *testing.T) {
	f, err := ownBox(t, layout.AMD64).Image(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	image := make([]byte, 8<<20) // enough of it to be known for an image
	if _, err := f.ReadAt(image, 0); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(image)
	right := hex.EncodeToString(sum[:])
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redhen.img":
			w.Header().Set("Content-Length", fmt.Sprint(len(image)))
			w.Write(image)
		case "/cut.img":
			w.Header().Set("Content-Length", "9000000")
			w.Write(image)
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	t.Setenv("TMPDIR", t.TempDir())
	told := int64(0)
	got, err := Fetch(t.Context(), srv.URL+"/redhen.img", right, func(_ card.Stage, done, _ int64) { told = done })
	if err != nil || told != int64(len(image)) {
		t.Fatalf("%v, %d bytes told", err, told)
	}
	got.Close()
	for _, c := range []struct{ path, sum, want string }{
		{"/redhen.img", "", "needs its SHA-256"}, {"/redhen.img", right[:20], "needs its SHA-256"},
		{"/redhen.img", strings.Repeat("0", 64), "is not what the SHA-256 stands for"},
		{"/cut.img", right, "did not come"}, {"/none.img", right, "404"},
	} {
		_, err := Fetch(t.Context(), srv.URL+c.path, c.sum, nil)
		if got := refused(t, err); !strings.Contains(got, c.want) {
			t.Errorf("%s %.8s: %q, want %q", c.path, c.sum, got, c.want)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if _, err := Fetch(ctx, srv.URL+"/redhen.img", right, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%s is left", left[0].Name())
	}
}
