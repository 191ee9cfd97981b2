// Command street is the first program of the Wi-Fi lab's machine. It loads simulated
// radios, keeps all but one for itself in a network namespace of its own, and starts the
// box beside it. Then it is the street around the box: it opens and closes networks, and is
// a phone, as it is told over the second serial line.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"
	nl80211 "github.com/mdlayher/wifi"
	"golang.org/x/sys/unix"

	"redhen/images/wifilab"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("street: ")
	if os.Getpid() != 1 {
		log.Fatal(serve())
	}
	if err := start(); err != nil {
		log.Print(err)
		time.Sleep(time.Second) // for the console
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
}

// start begins as the first program, and ends as the box's.
func start() error {
	for _, m := range []string{"devtmpfs /dev", "proc /proc", "sysfs /sys", "tmpfs /run"} {
		kind, where, _ := strings.Cut(m, " ")
		if err := os.MkdirAll(where, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(kind, where, kind, 0, ""); err != nil && err != syscall.EBUSY {
			return fmt.Errorf("mount %s: %w", where, err)
		}
	}
	if err := load(); err != nil {
		return err
	}
	street := exec.Command("/init")
	street.Stdout, street.Stderr = os.Stdout, os.Stderr
	street.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := street.Start(); err != nil {
		return err
	}
	if err := giveRadios(street.Process.Pid); err != nil {
		return err
	}
	return box()
}

// load loads the modules in the order of their list.
func load() error {
	list, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(list)) {
		name, options, _ := strings.Cut(strings.TrimSpace(line), " ")
		f, err := os.Open(filepath.Join("/modules", name))
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), options, 0); err != nil && err != unix.EEXIST {
			log.Printf("load %s: %v", name, err)
		}
		f.Close()
	}
	return nil
}

// giveRadios moves all radios but the first into the namespace of a process.
func giveRadios(pid int) error {
	c, err := nl80211.New()
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Name == "wlan0" || i.Name == "" {
			continue
		}
		a := netlink.NewAttributeEncoder()
		a.Uint32(unix.NL80211_ATTR_WIPHY, uint32(i.PHY))
		a.Uint32(unix.NL80211_ATTR_PID, uint32(pid))
		if err := request(unix.NL80211_CMD_SET_WIPHY_NETNS, a); err != nil {
			return fmt.Errorf("give %s away: %w", i.Name, err)
		}
	}
	return nil
}

func request(command uint8, a *netlink.AttributeEncoder) error {
	attrs, err := a.Encode()
	if err != nil {
		return err
	}
	c, err := genetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer c.Close()
	family, err := c.GetFamily(unix.NL80211_GENL_NAME)
	if err != nil {
		return err
	}
	msg := genetlink.Message{Header: genetlink.Header{Command: command, Version: family.Version}, Data: attrs}
	_, err = c.Execute(msg, family.ID, netlink.Request|netlink.Acknowledge)
	return err
}

// box mounts the image's root in place of this one, and becomes its first program.
func box() error {
	const root = "/box"
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	var err error
	for range 100 {
		if err = syscall.Mount("/dev/vda2", root, "squashfs", syscall.MS_RDONLY, ""); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // the disk may come late
	}
	if err != nil {
		return fmt.Errorf("mount the image: %w", err)
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := syscall.Mount(root, "/", "", syscall.MS_MOVE, ""); err != nil {
		return err
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return syscall.Exec("/gokrazy/init", []string{"/gokrazy/init"}, nil)
}

// serve does what it is told, one order a line.
func serve() error {
	tty, err := os.OpenFile("/dev/ttyS1", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	t, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, t); err != nil {
		return err
	}
	s := newStreet()
	for range 100 {
		if _, err := s.radio(wifilab.Phone); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // they are on their way
	}
	if _, err := tty.WriteString("\n" + wifilab.Ready + "\n"); err != nil {
		return err
	}
	lines := bufio.NewScanner(tty)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var o wifilab.Order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			log.Printf("order %s: %v", strconv.Quote(lines.Text()), err)
			continue
		}
		a := s.do(o)
		b, err := json.Marshal(a)
		if err != nil {
			return err
		}
		if _, err := tty.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return lines.Err()
}
