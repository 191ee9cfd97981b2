package wifi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"redhen/board/child"
)

// supplicant is a wpa_supplicant that joins one network, and the talk with it
// (wpa_supplicant's ctrl_interface.doxygen).
type supplicant struct {
	child   *child.Child
	events  net.Conn // what happens comes here
	refused atomic.Bool
	joined  atomic.Bool
}

// there reports whether the program is on this machine.
func (h Helper) there() bool {
	st, err := os.Stat(h.Program)
	return h.Program != "" && err == nil && st.Mode().IsRegular()
}

// startPatience is how long the program may take until it can be talked with.
const startPatience = 10 * time.Second

// start has the program join a network.
func (h Helper) start(log *slog.Logger, iface string, n Network, country string) (*supplicant, error) {
	text, err := settings(filepath.Join(h.Dir, "ctl"), n, country)
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(filepath.Join(h.Dir, "ctl")); err != nil { // of one that was killed
		return nil, err
	}
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return nil, err
	}
	conf := filepath.Join(h.Dir, "network.conf")
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		return nil, err
	}
	c, err := child.Start(log, h.Program, "-Dnl80211", "-i"+iface, "-c"+conf)
	if err != nil {
		return nil, err
	}
	s := &supplicant{child: c}
	if err := s.attach(filepath.Join(h.Dir, "ctl", iface), filepath.Join(h.Dir, "events")); err != nil {
		c.Stop()
		return nil, err
	}
	go s.listen() // ends with stop
	return s, nil
}

// attach asks for what happens to be told.
func (s *supplicant) attach(socket, own string) error {
	var err error
	for end := time.Now().Add(startPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-s.child.Ended():
			return errors.New("wpa_supplicant ended at once")
		default:
		}
		os.Remove(own) // of one that was killed
		s.events, err = net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			continue
		}
		for _, command := range []string{"ATTACH", "STATUS"} { // it may have joined already
			if _, err = s.events.Write([]byte(command)); err != nil {
				break
			}
		}
		if err == nil {
			return nil
		}
		s.events.Close()
	}
	return fmt.Errorf("talk with wpa_supplicant: %w", err)
}

// listen notes what happens, until the talk ends.
func (s *supplicant) listen() {
	b := make([]byte, 8<<10)
	for {
		n, err := s.events.Read(b)
		if err != nil {
			return
		}
		s.note(string(b[:n]))
	}
}

// note understands one message: an event, or the answer to STATUS.
func (s *supplicant) note(message string) {
	if strings.HasPrefix(message, "<") {
		if _, rest, ok := strings.Cut(message, ">"); ok {
			message = rest
		}
	}
	switch word, rest, _ := strings.Cut(message, " "); {
	case word == "CTRL-EVENT-CONNECTED":
		s.joined.Store(true)
		s.refused.Store(false)
	case word == "CTRL-EVENT-DISCONNECTED":
		s.joined.Store(false)
	case word == "CTRL-EVENT-SSID-TEMP-DISABLED": // it tried, and will only after a while again
		s.refused.Store(strings.Contains(rest, "auth_failures="))
	case strings.Contains("\n"+message, "\nwpa_state=COMPLETED\n"):
		s.joined.Store(true)
	}
}

// state reports whether the network is joined, and whether it lets nobody in.
func (s *supplicant) state() (joined, refused bool) {
	select {
	case <-s.child.Ended():
		return false, false
	default:
		return s.joined.Load(), s.refused.Load()
	}
}

func (s *supplicant) stop() {
	s.child.Stop()
	s.events.Close()
}

// settings is the file that tells the program what to join. What an attacker may have
// chosen, the name, stands there in hex.
func settings(socket string, n Network, country string) ([]byte, error) {
	key, err := n.Key()
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(n.Passphrase, unicode.IsControl) {
		return nil, errors.New("wifi: a password with a control character")
	}
	b := &bytes.Buffer{}
	fmt.Fprintf(b, "ctrl_interface=%s\nupdate_config=0\nsae_pwe=2\n", socket)
	if country != "" {
		fmt.Fprintf(b, "country=%s\n", country)
	}
	fmt.Fprintf(b, "network={\n\tssid=%x\n\tscan_ssid=1\n", n.SSID)
	switch {
	case key == nil:
		fmt.Fprint(b, "\tkey_mgmt=NONE\n")
	case n.Passphrase == "" || n.PMK != "": // WPA3 wants the password itself
		fmt.Fprintf(b, "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256\n\tpsk=%x\n\tieee80211w=1\n", key)
	default:
		fmt.Fprintf(b, "\tkey_mgmt=WPA-PSK WPA-PSK-SHA256 SAE\n\tpsk=%x\n\tsae_password=\"%s\"\n\tieee80211w=1\n", key, n.Passphrase)
	}
	fmt.Fprint(b, "}\n")
	return b.Bytes(), nil
}
