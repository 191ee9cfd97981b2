// Package vmtest runs redhen's real images in QEMU, and lives with them: power cuts,
// updates, cards with settings. Everything is emulated (TCG), so that it shows the same
// on every computer; what no emulator has is the firmware of a Raspberry Pi.
package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"redhen/images/card"
	"redhen/images/layout"
)

// Config says what machine to run. Board and Disk are needed.
type Config struct {
	Board  layout.Board
	Disk   string   // raw; written to
	Memory int      // MiB; 0 = 1024
	Dir    string   // for its console and the like; it is there
	House  *House   // where it stands; nil: nowhere, with its pages alone in reach
	Extra  []string // more arguments of QEMU
	Line   string   // more of the kernel's command line, with Direct
	// Direct has QEMU start the kernel of slot a by itself, which saves half of the time
	// until the first page: for tests that are not about the boot loader.
	Direct bool
	// Pi3 has the machine be a Raspberry Pi 3 as far as QEMU knows one: its kernel is
	// started by QEMU, since the firmware of a Raspberry Pi cannot be had.
	Pi3 *Pi3
}

// Pi3 is what QEMU starts on a Raspberry Pi 3. Board is ARM64, and Disk has a size that
// is a power of two.
type Pi3 struct{ Kernel, Tree, Line string }

// Machine is one that runs.
type Machine struct {
	Config
	port  int
	cmd   *exec.Cmd
	ended chan struct{} // closed when QEMU is gone
}

// Where Debian has UEFI for virtual machines.
const (
	amd64Code = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	amd64Vars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	arm64Code = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
)

// Missing names what this computer lacks to run a board's machines; empty: nothing.
func Missing(b layout.Board) string {
	for _, tool := range []string{emulator(b), "mksquashfs", "unsquashfs"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool
		}
	}
	code := amd64Code
	if b == layout.ARM64 {
		code = arm64Code
	}
	if _, err := os.Stat(code); err != nil {
		return code
	}
	return ""
}

func emulator(b layout.Board) string {
	if b == layout.ARM64 {
		return "qemu-system-aarch64"
	}
	return "qemu-system-x86_64"
}

// Start switches a machine on. It ends with ctx, by Cut, or by itself.
func Start(ctx context.Context, c Config) (*Machine, error) {
	if c.Memory == 0 {
		c.Memory = 1024
	}
	m := &Machine{Config: c, ended: make(chan struct{})}
	netdev, err := m.plugIn()
	if err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	args, err := m.board()
	if err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	args = append(args, "-m", fmt.Sprint(c.Memory), "-display", "none", "-no-user-config", "-nodefaults",
		"-serial", "file:"+m.console(), "-netdev", netdev, "-monitor", "unix:"+m.socket()+",server,nowait")
	args = append(append([]string{emulator(c.Board)}, args...), c.Extra...)
	m.cmd = exec.CommandContext(ctx, args[0], args[1:]...)
	if c.House != nil {
		m.cmd = c.House.Run(ctx, args...) // ip becomes QEMU
	}
	var said bytes.Buffer
	m.cmd.Stderr = &said
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	go func() { // ends with QEMU
		if err := m.cmd.Wait(); err != nil && said.Len() > 0 {
			os.WriteFile(filepath.Join(c.Dir, "qemu.log"), said.Bytes(), 0o644)
		}
		close(m.ended)
	}()
	return m, nil
}

// plugIn finds the port of its pages, and returns the network in QEMU's words.
func (m *Machine) plugIn() (netdev string, err error) {
	if m.House != nil {
		m.port, err = m.House.pages()
		return m.House.netdev(), err
	}
	m.port, err = freePort()
	return fmt.Sprintf("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:%d-:80", m.port), err
}

// board are the arguments that differ from board to board. A second thread for the
// processor hung one start in eight on amd64 (QEMU 7.2).
func (m *Machine) board() ([]string, error) {
	if m.Pi3 != nil {
		return m.pi3(), nil
	}
	disk := []string{"-drive", "file=" + m.Disk + ",format=raw,if=virtio,cache=unsafe", "-device", "virtio-net-pci,netdev=net"}
	if m.Board == layout.ARM64 {
		return append(disk, "-accel", "tcg,thread=multi", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-bios", arm64Code), nil
	}
	disk = append(disk, "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "1", "-device", "i6300esb", "-watchdog-action", "reset")
	if m.Direct {
		kernel, line, err := m.kernel()
		return append(disk, "-kernel", kernel, "-append", line), err
	}
	vars := filepath.Join(m.Dir, "vars.fd")
	if _, err := os.Stat(vars); errors.Is(err, os.ErrNotExist) {
		b, err := os.ReadFile(amd64Vars)
		if err == nil {
			err = os.WriteFile(vars, b, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(disk, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+amd64Code,
		"-drive", "if=pflash,format=raw,unit=1,file="+vars), nil
}

// kernel copies the kernel of slot a from the card, once for all starts in the same
// folder: later ones do without the FAT. It returns the kernel's command line too.
func (m *Machine) kernel() (path, line string, err error) {
	path = filepath.Join(m.Dir, "kernel")
	line = layout.Cmdline(m.Board, layout.A, "tty1", "ttyS0,115200") + " " + m.Line
	if _, err := os.Stat(path); err == nil {
		return path, line, nil
	}
	f, err := os.Open(m.Disk)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	fat, err := card.OpenFAT(f)
	if err != nil {
		return "", "", err
	}
	b, err := fat.Get(layout.A.Dir() + "/" + layout.KernelName)
	if err != nil {
		return "", "", err
	}
	return path, line, os.WriteFile(path, b, 0o600)
}

// pi3 are the arguments of a Raspberry Pi 3. What the kernel is told beside the card's
// line are quirks of the emulator: its USB controller and watchdog are not whole, and a
// network device without a Raspberry Pi's address is not eth0.
func (m *Machine) pi3() []string {
	m.Memory = 1024
	line := m.Pi3.Line + " dwc_otg.lpm_enable=0 dwc_otg.fiq_enable=0 dwc_otg.fiq_fsm_enable=0 dwc_otg.nak_holdoff=0" +
		" initcall_blacklist=bcm2835_wdt_driver_init"
	return []string{
		"-M", "raspi3b", "-kernel", m.Pi3.Kernel, "-dtb", m.Pi3.Tree, "-append", line,
		"-drive", "file=" + m.Disk + ",format=raw,if=sd,cache=unsafe",
		"-device", "usb-net,netdev=net,mac=b8:27:eb:12:34:56",
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (m *Machine) console() string { return filepath.Join(m.Dir, "console") }

// Console is what the machine said on its serial line since it was switched on.
func (m *Machine) Console() string {
	b, err := os.ReadFile(m.console())
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Last returns the last lines of the console, for a test that failed.
func (m *Machine) Last(n int) string {
	lines := strings.Split(strings.TrimSpace(m.Console()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// URL is where its pages are, without a slash at the end.
func (m *Machine) URL() string { return fmt.Sprintf("http://127.0.0.1:%d", m.port) }

// Cut cuts the power. What the machine had handed to its disk is there.
func (m *Machine) Cut() {
	m.cmd.Process.Kill() // fails when it is gone already
	<-m.ended
}

// lookEvery is the pause between two looks at a machine that starts.
const lookEvery = 200 * time.Millisecond

// Until waits until a page, or the console, is as wanted.
func (m *Machine) Until(ctx context.Context, wanted func() bool) error {
	for {
		if wanted() {
			return nil
		}
		select {
		case <-m.ended:
			return errors.New("the machine ended")
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// Page returns a page of the machine, and false while there is none.
func (m *Machine) Page(ctx context.Context, path string) (string, bool) {
	ctx, end := context.WithTimeout(ctx, 5*time.Second)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL()+path, nil)
	if err != nil {
		return "", false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(b), err == nil && resp.StatusCode == http.StatusOK
}

// Answers waits until the machine shows a page that contains a text.
func (m *Machine) Answers(ctx context.Context, path, text string) error {
	err := m.Until(ctx, func() bool {
		page, ok := m.Page(ctx, path)
		return ok && strings.Contains(page, text)
	})
	if err != nil {
		return fmt.Errorf("wait for %s to show %q: %w", path, text, err)
	}
	return nil
}

// Card copies an image to a file that is as large as a card of size bytes. Holes stay holes.
func Card(image, to string, size int64) error {
	in, err := os.Open(image)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.Truncate(size); err != nil {
		return err
	}
	buf, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, buf)
		if n > 0 && !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return out.Close()
		}
		if err != nil {
			return err
		}
	}
}
