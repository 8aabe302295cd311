import com.eclipsesource.json.Json;
import com.eclipsesource.json.JsonObject;
import com.eclipsesource.json.JsonValue;
import com.eclipsesource.json.ParseException;
import io.github.streamproc.plugin.Outputs;
import io.github.streamproc.plugin.Plugin;
import io.github.streamproc.plugin.Record;
import io.github.streamproc.plugin.Verdict;

/** NEXMark query 1, as bid_price.c: a bid in dollars becomes one in euros, to the thousandth. */
public final class BidPrice {
    private static final String[] FIELDS = {"auction", "bidder", "price", "channel", "dateTime"};

    private BidPrice() { }

    public static void main(String[] args) { Plugin.handle(BidPrice::convert); }

    static Verdict convert(Record record, Outputs out) {
        if (record.value() == null) {
            return Verdict.KEEP;
        }
        JsonObject bid = object(record.text());
        JsonObject euros = Json.object();
        for (String field : FIELDS) {
            JsonValue value = bid.get(field);
            if (value == null) {
                throw new IllegalArgumentException("a field of a bid is missing");
            }
            euros.add(field, field.equals("price") ? euro(value.toString()) : value);
        }
        out.put(euros.toString());
        return Verdict.REPLACED;
    }

    private static JsonObject object(String text) {
        try {
            return Json.parse(text).asObject();
        } catch (ParseException | UnsupportedOperationException e) {
            throw new IllegalArgumentException("the value is not a JSON object");
        }
    }

    /** Multiplies a whole number by 0.908, exactly. */
    private static JsonValue euro(String dollars) {
        if (!dollars.matches("-?[0-9]{1,15}")) {
            throw new IllegalArgumentException("the price is not a whole number");
        }
        long thousandths = Long.parseLong(dollars) * 908;
        String rest = String.valueOf(1000 + Math.abs(thousandths % 1000)).substring(1);
        return Json.parse((thousandths < 0 ? "-" : "") + Math.abs(thousandths / 1000) + "." + rest);
    }
}
