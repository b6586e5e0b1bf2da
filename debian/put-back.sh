# What preinst has put aside goes back; of one file gone comes before kept.
for aside in /etc/xinetd.conf.xinetd-rs-* /etc/xinetd.d/*.xinetd-rs-* /etc/*/xinetd.xinetd-rs-*; do
	case $aside in
	*-gone) rm -f "$aside" "${aside%.*}" ;;
	*-kept) mv -f "$aside" "${aside%.*}" ;;
	*-new) rm -f "$aside" ;;
	esac
done
