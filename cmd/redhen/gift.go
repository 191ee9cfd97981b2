package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"redhen/appliance/account"
	"redhen/appliance/api"
	"redhen/images/flash"
)

// giftFlags are the flags of redhen gift.
type giftFlags struct {
	order         api.GiftOrder
	wifi, country string
	open, hidden  bool
	yes           bool
	out, card     string
}

func (a *app) giftCommand() *cobra.Command {
	var f giftFlags
	cmd := &cobra.Command{
		Use: "gift", Short: "Make the settings of a box for a friend, who only plugs it in (a Wi-Fi's password on the input)", Args: cobra.NoArgs,
		Long: "Make the settings of a box for a friend. Put the file onto the first partition of the box's card as redhen.toml.\nThe box then joins by itself when it is plugged in, within 30 days. The file holds a secret; the box wipes it.\nOr, at a box that runs from a card: name a card in its reader with --onto, and it is written from the box's own system.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted := []string{"house", "box", "keeper", "out"}
			if f.order.Onto != "" {
				wanted = wanted[:3]
			}
			if err := need(cmd, wanted...); err != nil {
				return err
			}
			return a.gift(cmd, f)
		},
	}
	cmd.Flags().StringVar(&f.order.House, "house", "", "name of the house that the box goes to")
	cmd.Flags().StringVar(&f.order.Box, "box", "", "name of the box")
	cmd.Flags().StringVar(&f.order.Keeper, "keeper", "", "name of the person whom it is for")
	cmd.Flags().BoolVar(&f.order.Waived, "waived", false, "let the box in without asking again")
	cmd.Flags().StringVar(&f.wifi, "wifi", "", "name of the Wi-Fi there")
	cmd.Flags().StringVar(&f.country, "country", "", "two letters of the country, for the Wi-Fi")
	cmd.Flags().BoolVar(&f.open, "wifi-open", false, "that Wi-Fi has no password")
	cmd.Flags().BoolVar(&f.hidden, "wifi-hidden", false, "that Wi-Fi does not announce itself")
	cmd.Flags().StringVar(&f.out, "out", "", "file for the settings; it must not exist")
	cmd.Flags().StringVar(&f.order.Onto, "onto", "", "device of a card in the box's reader, such as /dev/sda; everything on it is lost")
	cmd.Flags().BoolVar(&f.order.AnyDisk, "any-disk", false, "write to a disk that does not look like a card, too")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask before everything on that card is lost")
	cmd.Flags().StringVar(&f.card, "card", "", "file for the gift card, a page to print; it must not exist")
	return cmd
}

func (a *app) gift(cmd *cobra.Command, f giftFlags) error {
	if login := account.CleanName(f.order.Keeper); errors.Is(account.CheckName(login), account.ErrName) {
		f.order.Keeper = account.SuggestName(f.order.Keeper)
	}
	if f.wifi != "" {
		w := api.Wifi{SSID: f.wifi, Country: f.country, Hidden: f.hidden}
		if !f.open {
			var err error
			if w.Password, err = a.password("Password of the Wi-Fi " + f.wifi); err != nil {
				return err
			}
		}
		f.order.Wifi = []api.Wifi{w}
	}
	for _, name := range []string{f.out, f.card} { // before a ticket is made
		if _, err := os.Lstat(name); name != "" && !errors.Is(err, fs.ErrNotExist) {
			return &usageError{fmt.Errorf("%s is there already: name a file that is not", name)}
		}
	}
	if err := a.agree(flash.Target{Path: f.order.Onto, Device: f.order.Onto != "", Words: "in this box's reader"}, f.yes); err != nil {
		return err
	}
	g, err := a.box().Gift(cmd.Context(), f.order)
	if err != nil {
		return err
	}
	for name, content := range map[string]string{f.out: g.Seed, f.card: g.Card} {
		if content == "" {
			continue // it is on the card
		}
		if err := writeNew(name, content); err != nil {
			return &api.Error{Code: "no-file", Sentence: fmt.Sprintf("The gift could not be written: %v. The circle was not changed, but its invite %s is open. Take it back with redhen invite --revoke, then try again elsewhere.", err, g.Ticket)}
		}
	}
	g.Seed, g.Card = f.out, f.card // secrets are in the files alone
	return a.show(g, func(w io.Writer) { tellGift(w, f, g) })
}

func (a *app) cardsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cards", Short: "The cards in this box's readers that redhen gift could write", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.box().Cards(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(list, func(w io.Writer) {
				for _, c := range list {
					fmt.Fprintf(w, "%s: %s\n", c.Device, c.Words)
				}
				if len(list) == 0 {
					fmt.Fprintln(w, "There is none. Put a card into a reader of the box; one that is in use does not count.")
				}
			})
		},
	}
}

// writeNew writes a file for its owner only; none without a name.
func writeNew(name, content string) error {
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func tellGift(w io.Writer, f giftFlags, g api.Gift) {
	if g.Written != "" {
		fmt.Fprintf(w, "The card of %s is written and was read back: %s. Put it into the box.\n", f.order.Box, g.Written)
	} else {
		fmt.Fprintf(w, "The settings of %s are in %s: put that file onto the card of the box as redhen.toml.\n", f.order.Box, f.out)
	}
	fmt.Fprintf(w, "It must be plugged in by %s. Code for whoever it is for, on paper:\n\n    %s\n\n", g.Expires.Format("2 January"), g.Code)
	if f.card != "" {
		fmt.Fprintf(w, "The gift card to print is %s.\n", f.card)
	}
	if f.order.Waived {
		fmt.Fprintln(w, "It gets in without being asked: whoever has the file has it.")
	} else {
		fmt.Fprintf(w, "When it has been plugged in, let it in with: redhen invite --approve %s\n", f.order.Box)
	}
	fmt.Fprintf(w, "Take the gift back with: redhen invite --revoke %s\n", g.Ticket)
}
