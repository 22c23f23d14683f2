import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import io.netty.channel.Channel;

/** The database of the conformance suite, in memory. Argument: the port, on 127.0.0.1. */
class Database extends MemoryBackend {
  public static void main(String[] arguments) throws InterruptedException {
    new MongoServer(new Database()).bind("127.0.0.1", Integer.parseInt(arguments[0]));
    Thread.currentThread().join();
  }

  /** Answers the one command that the suite needs and MemoryBackend lacks: the version of the features. */
  @Override
  public Document handleCommand(Channel channel, String database, String command, Document query) {
    if (command.equalsIgnoreCase("getParameter") && query.containsKey("featureCompatibilityVersion")) {
      return new Document("featureCompatibilityVersion", new Document("version", "6.0")).append("ok", 1.0);
    }
    return super.handleCommand(channel, database, command, query);
  }
}
