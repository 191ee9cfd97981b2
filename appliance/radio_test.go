package appliance

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"redhen/appliance/status"
	"redhen/appliance/words"
	"redhen/board/wifi"
)

// attic is a radio in a house with one network.
type attic struct {
	mu     sync.Mutex // guards what follows
	joined chan string
	link   string
}

func (r *attic) Scan(context.Context) ([]wifi.Seen, error) {
	return []wifi.Seen{{SSID: "Attic", Lock: wifi.WPA2, Signal: -5000}}, nil
}

func (r *attic) Join(n wifi.Network, _ wifi.Lock) error {
	key, err := n.Key()
	if err != nil {
		return err
	}
	ssid := n.SSID
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link = ssid
	r.joined <- ssid + "/" + string(key)
	return nil
}

func (r *attic) Leave() error { return nil }

func (r *attic) Link() (wifi.Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return wifi.Link{SSID: r.link}, nil
}

func (r *attic) SetCountry(string) error { return nil }

// The networks of the card are joined, with a ready-made key as it is, and the trouble
// with them is told.
func TestTheCardsWifiIsJoined(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.Boot = t.TempDir()
	content := "name: Attic\npassword: " + strings.Repeat("41", 32) + "\n"
	if err := os.WriteFile(filepath.Join(cfg.Boot, "redhen-wifi.txt"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	radio := &attic{joined: make(chan string, 10)}
	cfg.Wifi = &Wifi{Open: func() (wifi.Radio, string, error) { return radio, "wlan0", nil }}
	a, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	b := &box{a, end, make(chan error, 1)}
	go func() { b.ended <- a.Run(ctx) }()
	t.Cleanup(func() { b.stop(t) })
	select {
	case got := <-radio.joined:
		if got != "Attic/"+strings.Repeat("A", 32) {
			t.Errorf("joined %q", got)
		}
	case <-time.After(patience):
		t.Fatal("nothing was joined")
	}
	if got := a.wifiNow(); got.Trouble != "" {
		t.Errorf("trouble: %s", got.Trouble)
	}
	cfg = config(t.TempDir())
	cfg.Wifi = &Wifi{Open: func() (wifi.Radio, string, error) { return nil, "", fs.ErrNotExist }}
	if a, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, end = context.WithCancel(t.Context())
	end()
	if err := a.Run(ctx); err != nil || a.wifiNow() != (status.Wifi{}) {
		t.Errorf("without a radio: %v", err)
	}
}

// The screen of a box without a network says how to get onto the one that it opens.
func TestTheScreenOfABoxOffTheNetwork(t *testing.T) {
	const step = ", and say there what it is to join."
	for _, c := range []struct {
		state          wifi.State
		password, want string
	}{
		{wifi.State{Setup: "redhen-B9A7"}, "hens23cluck", "This box is on no network. Join its own Wi-Fi redhen-B9A7 with the password hens23cluck" + step},
		{wifi.State{Setup: "redhen-B9A7"}, "", "This box is on no network. Join its own Wi-Fi redhen-B9A7" + step},
		{wifi.State{Setup: "redhen-B9A7", Trouble: wifi.Unable, Network: "Attic"}, "", "The radio of this box cannot join the Wi-Fi “Attic”, which has a password, by itself. Nothing is lost. Use a network cable. This box is on no network. Join its own Wi-Fi redhen-B9A7" + step},
	} {
		if got := offNetwork(words.English(), c.state, c.password); got != c.want {
			t.Errorf("%+v: %q, want %q", c.state, got, c.want)
		}
	}
}

// On the network that a box opens itself, all that a phone asks for leads to the box's
// page; at a box that belongs to somebody, to its Wi-Fi alone. Elsewhere nothing changes.
func TestTheDoorOfTheOwnNetwork(t *testing.T) {
	open := false
	doors := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { open = true })
	claimed := false
	door := (&air{}).atDoor(doors, func() bool { return claimed })
	for _, c := range []struct {
		at, url string
		claimed bool
		want    string // where to; empty: through the door
	}{
		{"192.168.77.1", "http://captive.apple.com/hotspot-detect.html", false, "http://192.168.77.1/"},
		{"192.168.77.1", "http://connectivitycheck.gstatic.com/generate_204", false, "http://192.168.77.1/"},
		{"192.168.77.1", "http://192.168.77.1/claim", false, ""},
		{"192.168.77.1", "http://192.168.77.1/wifi", true, ""},
		{"192.168.77.1", "http://192.168.77.1/static/1/page.css", true, ""},
		{"192.168.77.1", "http://192.168.77.1/", true, "http://192.168.77.1/wifi"},
		{"192.168.77.1", "http://192.168.77.1/dav/anna/secret", true, "http://192.168.77.1/wifi"},
		{"192.168.77.1", "http://192.168.77.1/wifi/../files", true, "http://192.168.77.1/wifi"},
		{"192.168.77.1", "http://example.org/wifi", true, "http://192.168.77.1/wifi"},
		{"192.168.1.5", "http://192.168.1.5/files", true, ""},
		{"192.168.1.5", "http://192.168.77.1/files", true, ""},
	} {
		open, claimed = false, c.claimed
		local := &net.TCPAddr{IP: net.ParseIP(c.at), Port: 80}
		r := httptest.NewRequest(http.MethodGet, c.url, nil)
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local)))
		if got := w.Header().Get("Location"); got != c.want || open != (c.want == "") || c.want != "" && w.Code != http.StatusFound {
			t.Errorf("%s at %s: %d to %q, through %t", c.url, c.at, w.Code, got, open)
		}
	}
}
